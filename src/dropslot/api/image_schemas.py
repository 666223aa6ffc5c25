"""Patients, studies, series, instances and headers, as the API shows them; all of it is in `openapi.json`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from dropslot.api.response_schemas import Id, Next, Sha256, Time

_UID = "1.2.826.0.1.3680043.8.498.1"


class Patient(BaseModel):
    """One patient of a route, by the headers of its images."""

    id: int = Field(description="Its number here.", examples=[17])
    route: str = Field(examples=["dicom"])
    patient_id: str = Field(description="PatientID.", examples=["P-17"])
    issuer: str = Field(description="IssuerOfPatientID.", examples=[""])
    name: str = Field(description="PatientName.", examples=["Doe^Jane"])
    birth_date: str = Field(description="PatientBirthDate.", examples=["19700131"])
    sex: str = Field(description="PatientSex.", examples=["F"])
    studies: int = Field(description="How many studies.", examples=[2])


class Study(BaseModel):
    """One study of a patient."""

    id: int = Field(description="Its number here, for the filter `study`.", examples=[17])
    route: str = Field(examples=["dicom"])
    patient: int = Field(description="The number of its patient.", examples=[17])
    patient_id: str = Field(examples=["P-17"])
    patient_name: str = Field(examples=["Doe^Jane"])
    study_uid: str = Field(description="StudyInstanceUID.", examples=[_UID])
    study_id: str = Field(description="StudyID.", examples=["1"])
    accession_number: str = Field(examples=["A4711"])
    description: str = Field(examples=["Head"])
    date: str = Field(description="StudyDate.", examples=["20261129"])
    time: str = Field(description="StudyTime.", examples=["101500"])
    modalities: str = Field(description="Of its series.", examples=["CT, SR"])
    series: int = Field(description="How many series.", examples=[3])
    received_at: Time | None


class Series(BaseModel):
    """One series, with the verdict on its completeness. Has the keys of `series --json`."""

    id: int = Field(description="Its number here, for the filter `series`.", examples=[17])
    route: str = Field(examples=["dicom"])
    study: int = Field(description="The number of its study.", examples=[17])
    patient_name: str = Field(examples=["Doe^Jane"])
    patient_id: str = Field(examples=["P-17"])
    study_uid: str = Field(examples=[_UID])
    series_uid: str = Field(description="SeriesInstanceUID.", examples=[f"{_UID}.1"])
    modality: str = Field(examples=["CT"])
    description: str = Field(examples=["Thorax 1mm"])
    instances: int = Field(description="How many, without further versions.", examples=[200])
    verdict: str = Field(
        description="`VERIFIED`, `CONSISTENT`, `UNKNOWN` or `INCOMPLETE`.", examples=["CONSISTENT"]
    )
    evidence: list[str] = Field(
        description="What the verdict is based on.",
        examples=[["The series has 200 images, and its headers state 200"]],
    )
    arrival: Id
    received_at: Time | None
    number: str = Field(description="SeriesNumber.", examples=["2"])
    body_part: str = Field(examples=["HEAD"])
    protocol: str = Field(examples=["Routine"])
    manufacturer: str = Field(examples=["ACME"])
    model: str = Field(examples=["Scan 3"])
    station: str = Field(examples=["CT1"])
    size_bytes: int = Field(examples=[106_000_000])
    revision: int = Field(description="Counts the arrivals that added or changed instances.", examples=[1])
    is_named_for_folder: bool = Field(description="Whether its folder's name stands in for a missing UID.")


class Instance(BaseModel):
    """One SOP instance, in one version."""

    id: int = Field(description="Its number here, for its header.", examples=[4711])
    series: int = Field(description="The number of its series.", examples=[17])
    sop_uid: str = Field(description="SOPInstanceUID.", examples=[f"{_UID}.1.1"])
    version: int = Field(description="2 and more: other bytes under the same UID.", examples=[1])
    sop_class: str = Field(description="SOPClassUID.", examples=["1.2.840.10008.5.1.4.1.1.2"])
    transfer_syntax: str = Field(description="TransferSyntaxUID.", examples=["1.2.840.10008.1.2.1"])
    number: str = Field(description="InstanceNumber.", examples=["1"])
    frames: int = Field(examples=[1])
    rows: int | None = Field(examples=[512])
    columns: int | None = Field(examples=[512])
    sha256: Sha256
    size_bytes: int = Field(examples=[531_234])
    item: str = Field(description="Path inside the arrival.", examples=["series1/001.dcm"])
    arrival: Id


class Element(BaseModel):
    """One element of a header."""

    depth: int = Field(description="0 at the top; more inside a sequence's item.", examples=[0])
    tag: str = Field(examples=["(0010,0010)"])
    name: str = Field(description="Its keyword, or what is known of a private one.", examples=["PatientName"])
    vr: str = Field(description="Value representation.", examples=["PN"])
    value: str = Field(description="Shortened to 300 characters.", examples=["Doe^Jane"])


class Header(BaseModel):
    """The header of one instance."""

    instance: int = Field(examples=[4711])
    elements: list[Element]
    is_cut: bool = Field(description="Whether there are more elements.")


class Patients(BaseModel):
    """Patients, the newest first."""

    items: list[Patient]
    next: Next


class Studies(BaseModel):
    """Studies, the newest first."""

    items: list[Study]
    next: Next


class AllSeries(BaseModel):
    """Series, the newest first."""

    items: list[Series]
    next: Next


class Instances(BaseModel):
    """Instances, the newest first; those of one series as they came."""

    items: list[Instance]
    next: Next
