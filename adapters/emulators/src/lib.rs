//! salus-emulators
