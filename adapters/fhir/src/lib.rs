//! salus-fhir
