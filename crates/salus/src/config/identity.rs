//! How long credentials last: access tokens, and the sessions behind them.

use std::{collections::BTreeSet, path::PathBuf};

use chrono::TimeDelta;
use identity::{Policy, session::SessionLimits};
use kernel::Role;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// How long an access token is good, 1 to 60 minutes.
    pub access_token_minutes: i64,
    pub patient_session: PatientSession,
    pub staff_session: StaffSession,
    /// Whoever has one of these roles signs in with a second factor: everybody
    /// but patients, unless this says otherwise. A demo asks nobody.
    pub second_factor_roles: BTreeSet<Role>,
    /// The web address of the front end that passkeys are made for; the public
    /// address of the server where it is empty.
    pub passkey_origin: String,
    /// A file of breached passwords: their SHA-1 digests in hexadecimal, one a
    /// line and in order, as Have I Been Pwned publishes them. Besides it a
    /// short list of the commonest is built in.
    pub breached_passwords: Option<PathBuf>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            access_token_minutes: 15,
            patient_session: PatientSession::default(),
            staff_session: StaffSession::default(),
            second_factor_roles: Policy::new("").second_factor_roles,
            passkey_origin: String::new(),
            breached_passwords: None,
        }
    }
}

/// When patients are logged off.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatientSession {
    /// After this long without a refresh; longer than an access token is good.
    pub idle_minutes: i64,
    /// After this long whatever happens, at most a year.
    pub absolute_minutes: i64,
}

impl Default for PatientSession {
    fn default() -> Self {
        Self { idle_minutes: 14 * 24 * 60, absolute_minutes: 60 * 24 * 60 }
    }
}

/// When everybody else is logged off: sooner, because they reach the records of
/// many (45 CFR 164.312(a)(2)(iii)).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaffSession {
    /// After this long without a refresh; longer than an access token is good.
    pub idle_minutes: i64,
    /// After this long whatever happens, at most a day.
    pub absolute_minutes: i64,
}

impl Default for StaffSession {
    fn default() -> Self {
        Self { idle_minutes: 60, absolute_minutes: 12 * 60 }
    }
}

const DAY: i64 = 24 * 60;

impl Identity {
    /// Lets the staff of a demo in by their password alone.
    pub fn relax_for_a_demo(&mut self) {
        if self.second_factor_roles == Self::default().second_factor_roles {
            self.second_factor_roles.clear();
        }
    }

    /// The address that passkeys are made for, where it can be one: browsers
    /// make none for an address of numbers, and take a loopback's as localhost.
    pub fn passkey_origin(&self, public_url: &str) -> Option<String> {
        let origin = if self.passkey_origin.is_empty() { public_url } else { &self.passkey_origin };
        let mut url = Url::parse(origin).ok()?;
        match url.host()? {
            Host::Domain(_) => {}
            Host::Ipv4(ip) if ip.is_loopback() => url.set_host(Some("localhost")).ok()?,
            Host::Ipv6(ip) if ip.is_loopback() => url.set_host(Some("localhost")).ok()?,
            Host::Ipv4(_) | Host::Ipv6(_) => return None,
        }
        Some(url.origin().ascii_serialization())
    }

    /// Refuses lives that would log off somebody who is at work, or nobody ever.
    pub fn check(&self) -> anyhow::Result<()> {
        let token = self.access_token_minutes;
        if !(1..=60).contains(&token) {
            anyhow::bail!("identity.access_token_minutes is 1 to 60");
        }
        let (patient, staff) = (&self.patient_session, &self.staff_session);
        for (setting, idle, absolute, longest) in [
            ("identity.patient_session", patient.idle_minutes, patient.absolute_minutes, 365 * DAY),
            ("identity.staff_session", staff.idle_minutes, staff.absolute_minutes, DAY),
        ] {
            // A client refreshes when its access token runs out. A session that
            // rests no longer than that would end under its user's hands.
            if idle <= token {
                anyhow::bail!(
                    "{setting}.idle_minutes is more than identity.access_token_minutes ({token})"
                );
            }
            if !(idle..=longest).contains(&absolute) {
                anyhow::bail!(
                    "{setting}.absolute_minutes is idle_minutes ({idle}) to {longest} minutes"
                );
            }
        }
        if !self.passkey_origin.is_empty() && self.passkey_origin(&self.passkey_origin).is_none() {
            anyhow::bail!(
                "identity.passkey_origin is a web address with a name, as in https://salus.example"
            );
        }
        Ok(())
    }

    /// Writes the lives into the policy that identity's use cases follow.
    pub fn apply(&self, policy: &mut Policy) {
        let limits = |idle, absolute| SessionLimits {
            idle: TimeDelta::minutes(idle),
            absolute: TimeDelta::minutes(absolute),
        };
        let (patient, staff) = (&self.patient_session, &self.staff_session);
        policy.access_token_life = TimeDelta::minutes(self.access_token_minutes);
        policy.patient_session = limits(patient.idle_minutes, patient.absolute_minutes);
        policy.second_factor_roles.clone_from(&self.second_factor_roles);
        policy.staff_session = limits(staff.idle_minutes, staff.absolute_minutes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_settings_the_policy_is_its_own_default() {
        let plain = Policy::new("https://salus.example");
        let mut applied = plain.clone();
        Identity::default().check().unwrap();
        Identity::default().apply(&mut applied);
        assert_eq!(applied, plain);
    }

    #[test]
    fn each_class_gets_its_own_limits() {
        let settings = Identity {
            access_token_minutes: 5,
            patient_session: PatientSession { idle_minutes: 30, absolute_minutes: 480 },
            staff_session: StaffSession { idle_minutes: 10, absolute_minutes: 240 },
            ..Identity::default()
        };
        settings.check().unwrap();
        let mut policy = Policy::new("https://salus.example");
        settings.apply(&mut policy);
        let minutes =
            |limits: SessionLimits| (limits.idle.num_minutes(), limits.absolute.num_minutes());
        assert_eq!(policy.access_token_life, TimeDelta::minutes(5));
        assert_eq!(minutes(policy.patient_session), (30, 480));
        assert_eq!(minutes(policy.staff_session), (10, 240));
    }

    #[test]
    fn passkeys_are_for_a_name_and_a_loopback_is_localhost() {
        let origin = |configured: &str, public: &str| {
            let passkey_origin = configured.to_owned();
            Identity { passkey_origin, ..Identity::default() }.passkey_origin(public)
        };
        let of = |public: &str| origin("", public);
        assert_eq!(of("http://127.0.0.1:8080").as_deref(), Some("http://localhost:8080"));
        assert_eq!(of("http://[::1]:8080").as_deref(), Some("http://localhost:8080"));
        assert_eq!(of("https://api.salus.example/").as_deref(), Some("https://api.salus.example"));
        assert_eq!(of("http://192.0.2.7:8080"), None);
        let app = origin("https://salus.example", "https://api.salus.example");
        assert_eq!(app.as_deref(), Some("https://salus.example"));
        let odd = Identity { passkey_origin: "192.0.2.7".to_owned(), ..Identity::default() };
        assert!(odd.check().unwrap_err().to_string().starts_with("identity.passkey_origin"));
    }

    #[test]
    fn only_a_demo_lets_the_staff_in_by_a_password() {
        let mut demo = Identity::default();
        assert!(demo.second_factor_roles.contains(&Role::Provider));
        assert!(!demo.second_factor_roles.contains(&Role::Patient));
        demo.relax_for_a_demo();
        assert!(demo.second_factor_roles.is_empty());
        // What somebody chose stays.
        let chosen = BTreeSet::from([Role::SuperAdmin]);
        let mut strict = Identity { second_factor_roles: chosen.clone(), ..Identity::default() };
        strict.relax_for_a_demo();
        assert_eq!(strict.second_factor_roles, chosen);
    }

    #[test]
    fn limits_that_log_off_the_busy_or_nobody_are_refused_by_name() {
        let refusal = |settings: Identity| settings.check().unwrap_err().to_string();
        let staff = |idle_minutes, absolute_minutes| Identity {
            staff_session: StaffSession { idle_minutes, absolute_minutes },
            ..Identity::default()
        };
        assert!(staff(16, 16).check().is_ok());
        assert!(refusal(staff(15, 60)).starts_with("identity.staff_session.idle_minutes"));
        for (idle, absolute) in [(60, 59), (60, DAY + 1), (60, i64::MAX)] {
            let refusal = refusal(staff(idle, absolute));
            assert!(refusal.starts_with("identity.staff_session.absolute_minutes"), "{refusal}");
        }
        let forever = PatientSession { idle_minutes: 60, absolute_minutes: 366 * DAY };
        let refusal = refusal(Identity { patient_session: forever, ..Identity::default() });
        assert!(refusal.starts_with("identity.patient_session.absolute_minutes"), "{refusal}");
    }
}
