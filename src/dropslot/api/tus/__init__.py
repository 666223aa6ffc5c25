"""The server part of tus 1.0: uploads that can be resumed (https://tus.io/protocols/resumable-upload)."""
