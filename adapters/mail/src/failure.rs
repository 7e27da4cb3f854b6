//! What a failure means depends on how far the mail had come.

use std::error::Error as _;

use communication::port::RECIPIENT_REFUSED;
use lettre::transport::smtp::Error;
use ports::PortError;

pub(crate) const VENDOR: &str = "smtp";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A refusal here is about our access and not about a mail: waiting for
    /// someone to repair it loses nothing.
    Connecting,
    Envelope,
    Recipient,
    HandedOver,
}

/// Replies to a client that did not sign in, or not well enough (RFC 4954).
const ACCESS: [&str; 4] = ["530", "534", "535", "538"];

/// Only the reply's codes are passed on: its text often quotes the address.
pub(crate) fn map(error: &Error, phase: Phase) -> PortError {
    let enhanced = enhanced_code(error);
    let codes = match (error.status(), &enhanced) {
        (Some(status), Some(enhanced)) => format!("{status} {enhanced}"),
        (Some(status), None) => status.to_string(),
        (None, _) if error.is_tls() => "TLS failed".to_owned(),
        (None, _) => "the connection failed".to_owned(),
    };
    let about_access = phase == Phase::Connecting
        || error.status().is_some_and(|status| ACCESS.contains(&status.to_string().as_str()));
    if error.is_permanent() && !about_access {
        let about_address = phase == Phase::Recipient && concerns_address(enhanced.as_deref());
        let code = if about_address { RECIPIENT_REFUSED } else { "message_refused" };
        return PortError::Refused { vendor: VENDOR, code: code.to_owned(), message: codes };
    }
    if phase == Phase::HandedOver && error.status().is_none() {
        return PortError::Unknown { vendor: VENDOR, message: codes };
    }
    unavailable(codes)
}

pub(crate) fn unavailable(message: impl Into<String>) -> PortError {
    PortError::Unavailable { vendor: VENDOR, message: message.into() }
}

/// Whether a refused recipient means that the address is no good (RFC 3463:
/// 5.1.x is about addresses, 5.2.1 is a mailbox that takes no mail). A full
/// mailbox, a policy or a broken system say nothing about the address; without
/// an enhanced code the refusal is taken for what it usually is.
fn concerns_address(enhanced: Option<&str>) -> bool {
    enhanced.is_none_or(|code| code.starts_with("5.1.") || code == "5.2.1")
}

/// The enhanced status code (RFC 2034) that a reply's text begins with.
fn enhanced_code(error: &Error) -> Option<String> {
    let text = error.source()?.to_string();
    let first = text.split_whitespace().next()?;
    let parts: Vec<&str> = first.split('.').collect();
    let numeric = parts.len() == 3
        && parts.iter().all(|part| {
            (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        });
    numeric.then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_and_a_policy_do_not_condemn_an_address() {
        for code in ["5.1.1", "5.1.10", "5.2.1"] {
            assert!(concerns_address(Some(code)), "{code}");
        }
        for code in ["5.2.2", "5.7.1", "5.3.0", "5.10.1"] {
            assert!(!concerns_address(Some(code)), "{code}");
        }
        assert!(concerns_address(None));
    }
}
