"""From a failing verdict to its cause: a convention, a known wrong loss, a linear relation; or unknown, with clues."""

from conformance.diagnosis.diagnose import diagnose, diagnose_first
from conformance.diagnosis.findings import Diagnosis, Finding
from conformance.diagnosis.subject import CodepathOf, Subject, subjects

__all__ = ["CodepathOf", "Diagnosis", "Finding", "Subject", "diagnose", "diagnose_first", "subjects"]
