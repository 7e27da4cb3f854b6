use kernel::{ProviderId, Uuid};

use super::*;

fn alert(kind: AlertKind, about: &str, severity: Severity) -> SafetyAlert {
    SafetyAlert::new(kind, about, severity, "A summary.", "A source.")
}

fn overridden(alert: SafetyAlert) -> SafetyAlert {
    let by = ProviderId(Uuid::from_u128(1));
    let given = AlertOverride { by, reason: "A reason.".to_owned(), at: DateTime::UNIX_EPOCH };
    SafetyAlert { overridden: Some(given), ..alert }
}

#[test]
fn high_and_undefined_block_until_a_provider_overrides_them() {
    for (severity, blocks) in [
        (Severity::High, true),
        (Severity::Undefined, true),
        (Severity::Moderate, false),
        (Severity::Low, false),
    ] {
        let open = alert(AlertKind::Interaction, "136411-4917", severity);
        assert!(open.is_overridable(), "{severity}");
        assert_eq!(open.blocks(), blocks, "{severity}");
        assert!(!overridden(open).blocks(), "{severity}");
    }
}

#[test]
fn only_a_proposal_that_is_not_known_cannot_be_overridden() {
    let unknown = Medication {
        rxnorm: "99999999".parse().unwrap(),
        ndc: "00000000000".parse().unwrap(),
        display: "unheardof 5 MG Oral Tablet".to_owned(),
        strength: "5 MG".to_owned(),
        schedule: kernel::DeaSchedule::None,
    };
    let proposed = SafetyAlert::proposed_unmapped(&unknown, "A source.");
    assert!(!proposed.is_overridable());
    assert!(proposed.blocks());
    assert!(overridden(proposed).blocks(), "a reason for what was never checked counts nothing");

    // What is unknown on the record is one gap, and the rest was checked. The word
    // alone does not make an alert of another kind one on the proposal.
    for one in [
        alert(AlertKind::Unmapped, "medication-herbal blend", Severity::Undefined),
        alert(AlertKind::Unmapped, "allergy-unheardof", Severity::Undefined),
        alert(AlertKind::Unavailable, "proposed-99999999", Severity::Undefined),
    ] {
        assert!(one.is_overridable(), "{}", one.key);
        assert!(!overridden(one).blocks());
    }
}
