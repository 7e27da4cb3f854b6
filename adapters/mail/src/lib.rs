//! salus-mail
