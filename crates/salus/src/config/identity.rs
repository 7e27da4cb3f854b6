//! How long credentials last: access tokens, and the sessions behind them.

use chrono::TimeDelta;
use identity::{Policy, session::SessionLimits};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// How long an access token is good, 1 to 60 minutes.
    pub access_token_minutes: i64,
    pub patient_session: PatientSession,
    pub staff_session: StaffSession,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            access_token_minutes: 15,
            patient_session: PatientSession::default(),
            staff_session: StaffSession::default(),
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
