//! SMART system scopes, in the spelling of version 1 (`system/Patient.read`)
//! and of version 2 (`system/Patient.rs`).

use std::{collections::BTreeSet, fmt, str::FromStr};

/// What can be done with a resource, in the order in which version 2 of the
/// scopes spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interaction {
    Create,
    Read,
    Update,
    Delete,
    Search,
}

impl Interaction {
    const ALL: [(Self, char); 5] = [
        (Self::Create, 'c'),
        (Self::Read, 'r'),
        (Self::Update, 'u'),
        (Self::Delete, 'd'),
        (Self::Search, 's'),
    ];

    fn letter(self) -> char {
        match self {
            Self::Create => 'c',
            Self::Read => 'r',
            Self::Update => 'u',
            Self::Delete => 'd',
            Self::Search => 's',
        }
    }
}

/// One scope. It keeps the spelling it came in, which is what a client expects
/// to read back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SystemScope {
    /// A resource type, or `*` for all.
    resource: String,
    interactions: BTreeSet<Interaction>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SMART system scope, as in system/Patient.rs")]
pub struct InvalidScope;

impl FromStr for SystemScope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let (resource, access) = text
            .strip_prefix("system/")
            .and_then(|rest| rest.split_once('.'))
            .ok_or(InvalidScope)?;
        let named = resource.starts_with(|c: char| c.is_ascii_uppercase())
            && resource.bytes().all(|byte| byte.is_ascii_alphabetic());
        if resource != "*" && !named {
            return Err(InvalidScope);
        }
        let interactions = interactions(access)?;
        Ok(Self { resource: resource.to_owned(), interactions, text: text.to_owned() })
    }
}

/// Scopes narrowed by a query (`?category=…`) are not understood and refused,
/// because granting one without its query would grant more than was meant.
fn interactions(access: &str) -> Result<BTreeSet<Interaction>, InvalidScope> {
    use Interaction::*;
    match access {
        "read" => return Ok(BTreeSet::from([Read, Search])),
        "write" => return Ok(BTreeSet::from([Create, Update, Delete])),
        "*" => return Ok(Interaction::ALL.map(|(interaction, _)| interaction).into()),
        _ => {}
    }
    let mut found = BTreeSet::new();
    for letter in access.chars() {
        let (interaction, _) =
            Interaction::ALL.into_iter().find(|(_, known)| *known == letter).ok_or(InvalidScope)?;
        // The letters have one order, so that a scope has one spelling.
        if found.last().is_some_and(|last| *last >= interaction) {
            return Err(InvalidScope);
        }
        found.insert(interaction);
    }
    if found.is_empty() { Err(InvalidScope) } else { Ok(found) }
}

impl fmt::Display for SystemScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl SystemScope {
    pub fn allows(&self, resource: &str, interaction: Interaction) -> bool {
        (self.resource == "*" || self.resource == resource)
            && self.interactions.contains(&interaction)
    }

    /// The part of this scope that `allowed` covers: the scope itself where
    /// all of it is, a narrower one where some is.
    fn within(&self, allowed: &BTreeSet<Self>) -> Vec<Self> {
        let covered = |resource: &str| -> BTreeSet<Interaction> {
            self.interactions
                .iter()
                .copied()
                .filter(|interaction| {
                    allowed.iter().any(|scope| {
                        (scope.resource == "*" || scope.resource == resource)
                            && scope.interactions.contains(interaction)
                    })
                })
                .collect()
        };
        let whole = covered(&self.resource);
        if whole == self.interactions {
            return vec![self.clone()];
        }
        let mut parts = Vec::new();
        if !whole.is_empty() {
            parts.push(Self::spelt(&self.resource, whole.clone()));
        }
        // Asking for all resources grants those that are allowed one by one.
        if self.resource == "*" {
            for scope in allowed.iter().filter(|scope| scope.resource != "*") {
                let more: BTreeSet<_> =
                    self.interactions.intersection(&scope.interactions).copied().collect();
                if !more.is_subset(&whole) {
                    parts.push(Self::spelt(&scope.resource, more));
                }
            }
        }
        parts
    }

    fn spelt(resource: &str, interactions: BTreeSet<Interaction>) -> Self {
        let letters: String = interactions.iter().map(|interaction| interaction.letter()).collect();
        let text = format!("system/{resource}.{letters}");
        Self { resource: resource.to_owned(), interactions, text }
    }
}

/// What a client gets: what it asked for, as far as it is allowed. Scopes that
/// are not understood are left out, as RFC 6749 lets a server do.
pub fn grant(requested: &str, allowed: &BTreeSet<SystemScope>) -> BTreeSet<SystemScope> {
    requested
        .split_whitespace()
        .filter_map(|text| text.parse::<SystemScope>().ok())
        .flat_map(|scope| scope.within(allowed))
        .collect()
}

/// Whether granted scopes, as an actor carries them, let a client do that.
pub fn allows<'a>(
    scopes: impl IntoIterator<Item = &'a String>,
    resource: &str,
    interaction: Interaction,
) -> bool {
    scopes
        .into_iter()
        .filter_map(|text| text.parse::<SystemScope>().ok())
        .any(|scope| scope.allows(resource, interaction))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes(text: &str) -> BTreeSet<SystemScope> {
        text.split_whitespace().map(|scope| scope.parse().unwrap()).collect()
    }

    fn granted(requested: &str, allowed: &str) -> String {
        let granted = grant(requested, &scopes(allowed));
        granted.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn both_spellings_say_the_same() {
        for text in ["system/Patient.read", "system/Patient.rs", "system/*.read", "system/*.*"] {
            let scope: SystemScope = text.parse().unwrap();
            assert!(scope.allows("Patient", Interaction::Read), "{text}");
            assert!(scope.allows("Patient", Interaction::Search), "{text}");
        }
        assert!(
            !scopes("system/Patient.read").first().unwrap().allows("Encounter", Interaction::Read)
        );
        assert!(
            !scopes("system/Patient.r").first().unwrap().allows("Patient", Interaction::Search)
        );
    }

    #[test]
    fn what_is_no_system_scope_is_refused() {
        for bad in [
            "",
            "patient/Patient.read",
            "system/Patient",
            "system/patient.read",
            "system/Patient.",
            "system/Patient.sr",
            "system/Patient.rr",
            "system/Patient.rs?status=active",
            "system/Pat ient.rs",
            "openid",
        ] {
            assert!(bad.parse::<SystemScope>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_grant_is_the_request_within_what_is_allowed() {
        assert_eq!(granted("system/Patient.read", "system/*.read"), "system/Patient.read");
        assert_eq!(granted("system/*.read", "system/Patient.rs"), "system/Patient.rs");
        assert_eq!(granted("system/Patient.cruds", "system/Patient.rs"), "system/Patient.rs");
        assert_eq!(granted("system/Encounter.read openid", "system/Patient.rs"), "");
        assert_eq!(
            granted("system/*.read", "system/*.r system/Patient.rs"),
            "system/*.r system/Patient.rs"
        );
    }

    fn any_scope() -> impl Strategy<Value = String> {
        let resource = prop_oneof![Just("*"), Just("Patient"), Just("Encounter")];
        let access = prop_oneof![
            Just("read"),
            Just("write"),
            Just("*"),
            Just("r"),
            Just("rs"),
            Just("cu"),
            Just("cruds")
        ];
        (resource, access).prop_map(|(resource, access)| format!("system/{resource}.{access}"))
    }

    proptest! {
        /// A grant allows exactly what both the request and the registration allow.
        #[test]
        fn a_grant_is_the_intersection(
            requested in prop::collection::vec(any_scope(), 0..4),
            allowed in prop::collection::vec(any_scope(), 0..4),
        ) {
            let granted: Vec<String> = grant(&requested.join(" "), &scopes(&allowed.join(" ")))
                .iter()
                .map(ToString::to_string)
                .collect();
            for resource in ["Patient", "Encounter", "Observation"] {
                for (interaction, _) in Interaction::ALL {
                    let both = allows(&requested, resource, interaction)
                        && allows(&allowed, resource, interaction);
                    prop_assert_eq!(allows(&granted, resource, interaction), both);
                }
            }
        }
    }
}
