//! salus-keyring
