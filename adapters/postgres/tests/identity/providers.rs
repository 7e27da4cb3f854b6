//! Providers: hours, specialities, what administrators change, and the alerts
//! of licenses that expire.

use chrono::{DateTime, Utc, Weekday};
use identity::{
    HoursForm, ProviderForm, ShiftForm,
    license_alerts::{AlertLicenses, EndLicenses, alert_licenses, end_licenses},
};
use kernel::{DomainError as _, ErrorKind, Speciality};

use super::*;

fn form(npi: &str) -> ProviderForm {
    ProviderForm {
        given: "Maren".to_owned(),
        family: "Lindqvist".to_owned(),
        npi: npi.to_owned(),
        dea: Some("AB1234563".to_owned()),
        specialities: vec!["207Q00000X".to_owned(), "207N00000X".to_owned()],
    }
}

fn hours() -> HoursForm {
    let shift = |day, from: &str, until: &str| ShiftForm {
        day,
        from: from.to_owned(),
        until: until.to_owned(),
    };
    HoursForm {
        zone: "America/Chicago".to_owned(),
        shifts: vec![
            shift(Weekday::Thu, "13:00", "24:00"),
            shift(Weekday::Mon, "08:00", "12:00"),
            shift(Weekday::Mon, "12:30", "16:00"),
        ],
    }
}

fn license(state: UsState, expires: &str) -> License {
    License {
        state,
        number: "MD-1".to_owned(),
        expires_on: expires.parse().unwrap(),
        status: LicenseStatus::Active,
    }
}

async fn seated(fixture: &Fixture, number: u128, npi: &str) -> (Actor, ProviderId) {
    let actor = fixture.staff(number, Role::Provider).await;
    provider::write_own(&fixture.services, &actor, form(npi)).await.unwrap();
    let id = actor.as_provider().unwrap();
    (actor, id)
}

#[tokio::test]
async fn hours_and_specialities_are_kept_and_found_with_the_colleagues() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let (actor, id) = seated(&fixture, 1, "1234567893").await;
    let written = provider::write_own_hours(services, &actor, Some(hours())).await.unwrap();
    let read = provider::read_own(services, &actor).await.unwrap();
    assert_eq!(read, written);
    assert_eq!(read.specialities, [Speciality::FamilyMedicine, Speciality::Dermatology].into());
    let week = read.hours.clone().unwrap();
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    // Noon of Monday 2 March 2026 in Chicago is 18 o'clock in Greenwich.
    for (moment, open) in [
        ("2026-03-02T17:59:00Z", true),
        ("2026-03-02T18:10:00Z", false),
        ("2026-03-02T18:30:00Z", true),
        ("2026-03-06T05:59:00Z", true),
        ("2026-03-06T06:00:00Z", false),
    ] {
        assert_eq!(week.cover(at(moment)), open, "{moment}");
    }
    // Changing the rest leaves the hours as they are, and so do licenses.
    let system = Actor::system("tests.identity");
    let licenses = vec![license(UsState::Ma, "2030-01-01")];
    provider::write_own(services, &actor, form("1234567893")).await.unwrap();
    provider::set_licenses(services, &system, id, licenses).await.unwrap();
    let now = services.now();
    let found = directory::colleagues_licensed_in(services, &system, UsState::Ma, now).await;
    let found = found.unwrap();
    assert_eq!((found.len(), found[0].hours.clone()), (1, Some(week)));
    assert_eq!(found[0].licenses.len(), 1);
    let cleared = provider::write_own_hours(services, &actor, None).await.unwrap();
    assert_eq!(cleared.hours, None);
    assert_eq!(provider::read_own(services, &actor).await.unwrap(), cleared);
    let patient = fixture.staff(9, Role::Support).await;
    let stranger = provider::write_own_hours(services, &patient, Some(hours())).await;
    assert!(matches!(stranger, Err(IdentityError::NotFound(_))), "{stranger:?}");
}

#[tokio::test]
async fn an_administrator_changes_what_was_read_and_both_values_are_audited() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let (doctor, id) = seated(&fixture, 1, "1234567893").await;
    let (_, other) = seated(&fixture, 2, "1245319599").await;
    let admin = fixture.staff(3, Role::Admin).await;
    let own = provider::revise(services, &doctor, (id, 1.into()), form("1234567893"), None).await;
    assert!(matches!(own, Err(IdentityError::Forbidden(_))), "{own:?}");
    let read = provider::read(services, &admin, id).await.unwrap();
    assert_eq!(read.version, 1);
    let changed = ProviderForm {
        family: "Lind".to_owned(),
        specialities: vec!["2084P0800X".to_owned()],
        ..form("1234567893")
    };
    let revised =
        provider::revise(services, &admin, (id, 1.into()), changed.clone(), Some(hours()));
    assert_eq!(revised.await.unwrap().version, 2);
    let stale =
        provider::revise(services, &admin, (id, 1.into()), changed, None).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::PreconditionFailed);
    let taken =
        provider::revise(services, &admin, (other, 1.into()), form("1234567893"), None).await;
    let taken = taken.unwrap_err();
    assert_eq!(
        (taken.fields()[0].path.as_str(), taken.fields()[0].code.as_str()),
        ("npi", "taken")
    );
    let odd = ProviderForm { npi: "1".to_owned(), ..form("") };
    let nowhere = HoursForm { zone: "Nowhere".to_owned(), ..hours() };
    let bad =
        provider::revise(services, &admin, (id, 2.into()), odd, Some(nowhere)).await.unwrap_err();
    let paths: Vec<&str> = bad.fields().iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["npi", "working_hours.time_zone"]);
    let audited = "SELECT (detail->'old'->>'family') || ' ' || (detail->'new'->>'family') || ' ' \
                   || (detail->'old'->>'specialities') || ' ' || (detail->'new'->>'specialities') \
                   || ' ' || (detail->'new'->'working_hours'->>'time_zone') FROM audit_entries \
                   WHERE entity = 'provider_profile' AND action = 'update'";
    assert_eq!(
        fixture.text(audited).await,
        [r#"Lindqvist Lind ["207Q00000X", "207N00000X"] ["2084P0800X"] America/Chicago"#]
    );
}

#[tokio::test]
async fn a_license_that_expires_is_told_of_at_four_distances_once_each() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let (_, id) = seated(&fixture, 1, "1234567893").await;
    let system = Actor::system("tests.identity");
    let suspended =
        License { status: LicenseStatus::Suspended, ..license(UsState::Ny, "2026-03-20") };
    // The tests' clock stands at noon UTC of 2 March 2026.
    let licenses = vec![license(UsState::Ma, "2026-06-05"), suspended];
    provider::set_licenses(services, &system, id, licenses).await.unwrap();
    let told = "SELECT (payload->>'state') || ' ' || (payload->>'days') FROM outbox_events \
                WHERE kind = 'license_expiring' ORDER BY occurred_at, id";
    let mut expected: Vec<&str> = Vec::new();
    for (days, news) in
        [(0, None), (5, Some("MA 90")), (60, Some("MA 30")), (23, Some("MA 7")), (6, Some("MA 1"))]
    {
        fixture.database.clock.advance(TimeDelta::days(days));
        expected.extend(news);
        let job = AlertLicenses {};
        assert_eq!(alert_licenses(services, job).await.unwrap(), usize::from(news.is_some()));
        assert_eq!(alert_licenses(services, job).await.unwrap(), 0, "once");
        assert_eq!(fixture.text(told).await, expected);
    }
    // Renewed, it begins anew; of two runs at once one tells.
    let renewed = vec![license(UsState::Ma, "2026-06-12")];
    provider::set_licenses(services, &system, id, renewed).await.unwrap();
    let job = AlertLicenses {};
    let (one, two) = tokio::join!(alert_licenses(services, job), alert_licenses(services, job));
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    expected.push("MA 30");
    assert_eq!(fixture.text(told).await.len(), expected.len());
    let audited = "SELECT detail->>'days' FROM audit_entries WHERE entity = 'license_alert' \
                   AND action = 'create'";
    assert_eq!(fixture.text(audited).await.len(), 5);
}

#[tokio::test]
async fn whatever_ends_or_gives_back_a_right_to_practise_is_told() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let (_, id) = seated(&fixture, 1, "1234567893").await;
    let admin = fixture.staff(3, Role::Admin).await;
    let told = async || {
        let sql = "SELECT payload->>'reason' FROM outbox_events \
                   WHERE kind = 'provider_standing_changed' ORDER BY occurred_at, id";
        fixture.text(sql).await
    };
    // The tests' clock stands at noon UTC of 2 March 2026.
    let set = async |licenses: Vec<License>| {
        provider::set_licenses(services, &admin, id, licenses).await.unwrap();
    };
    set(vec![license(UsState::Hi, "2026-03-03")]).await;
    let number = License { number: "MD-2".to_owned(), ..license(UsState::Hi, "2026-03-03") };
    set(vec![number]).await;
    assert_eq!(told().await, ["licenses"], "another number changes nothing");
    let suspended =
        License { status: LicenseStatus::Suspended, ..license(UsState::Hi, "2026-03-03") };
    set(vec![suspended]).await;
    set(vec![license(UsState::Hi, "2026-03-03")]).await;
    assert_eq!(told().await.len(), 3);

    // The last day ends where the license is, ten hours behind Greenwich.
    let job = EndLicenses {};
    for (hours, ended) in [(0, 0), (45, 0), (1, 1), (48, 0)] {
        fixture.database.clock.advance(TimeDelta::hours(hours));
        let (one, two) = tokio::join!(end_licenses(services, job), end_licenses(services, job));
        assert_eq!(one.unwrap() + two.unwrap(), ended, "{hours}");
    }
    let account = id.account();
    identity::credentials::set_disabled(services, &admin, account, true).await.unwrap();
    identity::credentials::set_disabled(services, &admin, account, false).await.unwrap();
    let support = BTreeSet::from([Role::Support]);
    identity::staff::change_roles(services, &admin, account, support).await.unwrap();
    assert_eq!(told().await[3..], ["expiry", "account", "account", "roles"]);
}
