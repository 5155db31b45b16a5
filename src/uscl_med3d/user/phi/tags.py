"""DICOM attributes that may identify a patient, and those that `ingest` reads.

IDENTIFYING follows the Basic Application Level Confidentiality Profile (DICOM PS3.15, Table E.1-1) as far as attributes
occur in ultrasound files. Beside it, every attribute with a person's name, every date, time and free text, and every
private attribute counts.
"""

from __future__ import annotations

IDENTIFYING = frozenset(
    {
        "AccessionNumber",
        "AcquisitionComments",
        "AcquisitionDate",
        "AcquisitionDateTime",
        "AcquisitionTime",
        "AdditionalPatientHistory",
        "AdmissionID",
        "AdmittingDate",
        "AdmittingDiagnosesDescription",
        "Allergies",
        "ConsultingPhysicianName",
        "ContentCreatorName",
        "ContentDate",
        "ContentTime",
        "CountryOfResidence",
        "CurrentPatientLocation",
        "DerivationDescription",
        "DetectorID",
        "DeviceSerialNumber",
        "DeviceUID",
        "EthnicGroup",
        "FrameComments",
        "FrameOfReferenceUID",
        "ImageComments",
        "InstanceCreationDate",
        "InstanceCreationTime",
        "InstanceCreatorUID",
        "InstitutionAddress",
        "InstitutionCodeSequence",
        "InstitutionName",
        "InstitutionalDepartmentName",
        "InsurancePlanIdentification",
        "IssuerOfPatientID",
        "LastMenstrualDate",
        "MedicalAlerts",
        "MedicalRecordLocator",
        "MilitaryRank",
        "NameOfPhysiciansReadingStudy",
        "Occupation",
        "OperatorIdentificationSequence",
        "OperatorsName",
        "OtherPatientIDs",
        "OtherPatientIDsSequence",
        "OtherPatientNames",
        "PatientAddress",
        "PatientAge",
        "PatientBirthDate",
        "PatientBirthName",
        "PatientBirthTime",
        "PatientComments",
        "PatientID",
        "PatientInsurancePlanCodeSequence",
        "PatientMotherBirthName",
        "PatientName",
        "PatientReligiousPreference",
        "PatientSex",
        "PatientSize",
        "PatientState",
        "PatientTelephoneNumbers",
        "PatientWeight",
        "PerformedProcedureStepDescription",
        "PerformedProcedureStepID",
        "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime",
        "PerformingPhysicianIdentificationSequence",
        "PerformingPhysicianName",
        "PersonAddress",
        "PersonName",
        "PersonTelephoneNumbers",
        "PhysiciansOfRecord",
        "PregnancyStatus",
        "ProtocolName",
        "ReasonForStudy",
        "ReferringPhysicianAddress",
        "ReferringPhysicianIdentificationSequence",
        "ReferringPhysicianName",
        "ReferringPhysicianTelephoneNumbers",
        "RegionOfResidence",
        "RequestAttributesSequence",
        "RequestedProcedureDescription",
        "RequestedProcedureID",
        "RequestingPhysician",
        "RequestingService",
        "ResponsibleOrganization",
        "ResponsiblePerson",
        "SOPInstanceUID",
        "ScheduledPerformingPhysicianName",
        "SeriesDate",
        "SeriesDescription",
        "SeriesInstanceUID",
        "SeriesTime",
        "SpecialNeeds",
        "StationName",
        "StudyComments",
        "StudyDate",
        "StudyDescription",
        "StudyID",
        "StudyInstanceUID",
        "StudyTime",
        "TimezoneOffsetFromUTC",
        "VerifyingObserverName",
        "VisitComments",
    }
)
"""Keywords of the stated list."""

NAMES_A_PERSON = ("PatientName", "PatientID", "PatientBirthName", "OtherPatientNames", "OtherPatientIDs", "AccessionNumber",
                  "PatientMotherBirthName", "ResponsiblePerson", "PatientTelephoneNumbers", "PatientAddress")  # fmt: skip
"""Their values must turn up nowhere else: not in file names, sidecars or logs."""

TEXT_OR_TIME = frozenset({"PN", "DA", "DT", "TM", "LT", "ST", "UT"})
"""Value representations that count wherever they stand."""

READ_BY_INGEST = (
    # how pixels are stored, and how many
    "TransferSyntaxUID", "PhotometricInterpretation", "SamplesPerPixel", "PlanarConfiguration", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "Rows", "Columns", "NumberOfFrames",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData", "PixelData",
    # rate and sizes
    "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate", "SequenceOfUltrasoundRegions", "PixelSpacing",
    "PixelAspectRatio", "SliceThickness", "RescaleSlope", "RescaleIntercept",
    # places of the frames of an enhanced object
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    # order of single frames
    "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "SeriesInstanceUID", "SOPInstanceUID",
)  # fmt: skip
"""All that `ingest` takes from a header. Into its sidecar go WRITTEN_BY_INGEST and nothing else."""

WRITTEN_BY_INGEST = (
    "source_codec", "source_frames_per_second", "source_shape", "source_spacing_mm", "source_spacing_from", "assumed",
    "irregular_frames", "tracking",
)  # fmt: skip
"""Fields of the sidecar that a header has a say in: names of codecs, and numbers."""
