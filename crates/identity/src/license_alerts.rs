//! Telling providers in time that a license is about to expire.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, Utc};
use kernel::{Actor, ProviderId};
use ports::{AuditAction, AuditEntry, Event, JobSpec};
use serde::{Deserialize, Serialize};

use crate::{License, LicenseStatus, Services, error::Result, provider};

/// How many days before the last one a provider is told.
pub const DAYS: [u32; 4] = [90, 30, 7, 1];

/// A license that expires soon, and the alerts already sent for this expiration
/// date, by the days that were left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiringLicense {
    pub provider: ProviderId,
    pub license: License,
    pub told: BTreeSet<u32>,
}

impl License {
    /// For how many days it is still in force; nothing on its last day. `None`
    /// once it has expired, and where the board has taken it back.
    pub fn days_left(&self, at: DateTime<Utc>) -> Option<u32> {
        let there = at.with_timezone(&self.state.zone()).date_naive();
        let days = u32::try_from((self.expires_on - there).num_days()).ok()?;
        (self.status == LicenseStatus::Active).then_some(days)
    }
}

/// Of which of [`DAYS`] the holder is to be told now. A run that was missed is
/// made up for by the next one, and several are one.
pub fn due(days_left: u32, told: &BTreeSet<u32>) -> Option<u32> {
    let reached = DAYS.into_iter().filter(|days| days_left <= *days).min()?;
    told.iter().all(|earlier| *earlier > reached).then_some(reached)
}

/// Looks for licenses that expire soon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertLicenses {}

impl JobSpec for AlertLicenses {
    const KIND: &'static str = "identity.alert_licenses";
}

/// Tells every provider of a license that expires within 90, 30, 7 or one day,
/// once each. Returns how many were told.
pub async fn alert_licenses(services: &Services, _: AlertLicenses) -> Result<usize> {
    let actor = Actor::system("identity.alert_licenses");
    let now = services.now();
    // A day more than the longest, for the states that are behind Greenwich.
    let horizon = Days::new(u64::from(DAYS[0]) + 1);
    let by = now.date_naive().checked_add_days(horizon).unwrap_or(now.date_naive());
    let mut tx = services.store.begin(&actor).await?;
    let mut alerted = 0;
    for ExpiringLicense { provider, license, told } in tx.licenses_expiring_by(by).await? {
        let Some(left) = license.days_left(now) else { continue };
        let Some(days) = due(left, &told) else { continue };
        // Of two runs at once the second finds the first one's row.
        if !tx.add_license_alert(provider, &license, days, now).await? {
            continue;
        }
        let state = license.state.to_string();
        tx.emit(Event::LicenseExpiring { provider, state: state.clone(), days });
        tx.audit(
            AuditEntry::new(AuditAction::Create, "license_alert", provider)
                .detail("state", state)
                .detail("expires_on", license.expires_on.to_string())
                .detail("days", days),
        );
        alerted += 1;
    }
    if alerted > 0 {
        tx.commit().await?;
    }
    Ok(alerted)
}

/// Looks for licenses whose last day is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndLicenses {}

impl JobSpec for EndLicenses {
    const KIND: &'static str = "identity.end_licenses";
}

/// Tells of every license that has run out, once. Returns how many there were.
pub async fn end_licenses(services: &Services, _: EndLicenses) -> Result<usize> {
    let actor = Actor::system("identity.end_licenses");
    let now = services.now();
    let mut tx = services.store.begin(&actor).await?;
    let mut ended = 0;
    for (provider, license) in tx.licenses_ended_by(now.date_naive()).await? {
        // Of two runs at once the second finds the first one's row.
        if license.in_force(now) || !tx.add_license_end(provider, &license, now).await? {
            continue;
        }
        tx.emit(provider::standing_changed(provider, "expiry"));
        tx.audit(
            AuditEntry::new(AuditAction::Create, "license_end", provider)
                .detail("state", license.state.to_string())
                .detail("expires_on", license.expires_on.to_string()),
        );
        ended += 1;
    }
    if ended > 0 {
        tx.commit().await?;
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeDelta};
    use kernel::UsState;
    use proptest::prelude::*;

    use super::*;

    fn license(expires: &str) -> License {
        License {
            state: UsState::Ca,
            number: "A-1".to_owned(),
            expires_on: expires.parse::<NaiveDate>().unwrap(),
            status: LicenseStatus::Active,
        }
    }

    #[test]
    fn days_are_counted_where_the_license_is() {
        let license = license("2026-03-10");
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        // In California it is the evening of the ninth still.
        assert_eq!(license.days_left(at("2026-03-10T06:59:59Z")), Some(1));
        assert_eq!(license.days_left(at("2026-03-10T07:00:00Z")), Some(0));
        assert_eq!(license.days_left(at("2026-03-11T07:00:00Z")), None);
        let suspended = License { status: LicenseStatus::Suspended, ..license };
        assert_eq!(suspended.days_left(at("2026-03-01T07:00:00Z")), None);
    }

    #[test]
    fn each_threshold_is_told_once_and_a_missed_one_is_not_told_late() {
        assert_eq!(due(91, &BTreeSet::new()), None);
        assert_eq!(due(90, &BTreeSet::new()), Some(90));
        assert_eq!(due(89, &[90].into()), None);
        assert_eq!(due(6, &[90].into()), Some(7), "that of 30 days was missed and is stale");
        assert_eq!(due(6, &[90, 7].into()), None);
        assert_eq!(due(0, &[90, 7].into()), Some(1));
        assert_eq!(due(5, &[1].into()), None, "who was told of the end needs no reminder of it");
    }

    proptest! {
        #[test]
        fn however_often_it_runs_a_license_is_told_of_at_most_once_for_each_threshold(
            mut runs in prop::collection::vec(0i64..120, 1..60),
        ) {
            runs.sort_unstable();
            let license = license("2026-06-30");
            let start = "2026-03-03T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
            let mut told = BTreeSet::new();
            for day in runs {
                let Some(left) = license.days_left(start + TimeDelta::days(day)) else { continue };
                if let Some(days) = due(left, &told) {
                    prop_assert!(left <= days);
                    prop_assert!(told.insert(days));
                }
            }
            let daily = (0..120).filter_map(|day| {
                let left = license.days_left(start + TimeDelta::days(day))?;
                let days = due(left, &told)?;
                told.insert(days).then_some(days)
            });
            prop_assert!(daily.count() <= DAYS.len());
        }
    }
}
