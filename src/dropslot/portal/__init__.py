"""The portal: pages in a browser, and the process that serves them."""
