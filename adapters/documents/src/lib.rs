//! salus-documents
