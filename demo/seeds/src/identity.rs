//! The staff of the demo: two providers licensed in different states, and one
//! of each other role. Names and numbers are made up; the numbers have valid
//! check digits. The password is the configuration's.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use identity::{
    IdentityError, License, LicenseStatus, Services,
    staff::{FirstProvider, FirstStaff, StaffForm, seat},
};
use kernel::{AccountId, Actor, ProviderId, Role, Speciality, UsState, Uuid};

pub const LINDQVIST: AccountId = account_id(1);
pub const OKONKWO: AccountId = account_id(2);
pub const PHARMACIST: AccountId = account_id(3);
pub const SUPPORT: AccountId = account_id(4);
pub const AUDITOR: AccountId = account_id(5);
pub const ADMIN: AccountId = account_id(6);
pub const SUPER_ADMIN: AccountId = account_id(7);

const fn account_id(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(0x5a1c_0010_0000_4000_8000_0000_0000_0000 + number))
}

/// The provider of the north-east and California.
pub const EAST: ProviderId = LINDQVIST.as_provider();
/// The provider of Texas, Florida and Washington.
pub const SOUTH: ProviderId = OKONKWO.as_provider();

struct StaffSeed {
    id: AccountId,
    email: &'static str,
    given: &'static str,
    family: &'static str,
    role: Role,
    provider: Option<ProviderSeed>,
}

#[derive(Clone, Copy)]
struct ProviderSeed {
    npi: &'static str,
    dea: &'static str,
    specialities: &'static [Speciality],
    licenses: &'static [(UsState, &'static str)],
}

const STAFF: [StaffSeed; 7] = [
    StaffSeed {
        id: LINDQVIST,
        email: "maren.lindqvist@salus.example",
        given: "Maren",
        family: "Lindqvist",
        role: Role::Provider,
        provider: Some(ProviderSeed {
            npi: "1728394051",
            dea: "BL4729159",
            specialities: &[Speciality::FamilyMedicine, Speciality::Dermatology],
            licenses: &[
                (UsState::Ma, "MA-284417"),
                (UsState::Ny, "NY-319820"),
                (UsState::Ca, "CA-A107733"),
            ],
        }),
    },
    StaffSeed {
        id: OKONKWO,
        email: "tobias.okonkwo@salus.example",
        given: "Tobias",
        family: "Okonkwo",
        role: Role::Provider,
        provider: Some(ProviderSeed {
            npi: "1908172632",
            dea: "FO8302642",
            specialities: &[Speciality::InternalMedicine, Speciality::Psychiatry],
            licenses: &[
                (UsState::Tx, "TX-R5519"),
                (UsState::Fl, "FL-ME140266"),
                (UsState::Wa, "WA-MD61088"),
            ],
        }),
    },
    StaffSeed {
        id: PHARMACIST,
        email: "pharmacist@salus.example",
        given: "Ines",
        family: "Varga",
        role: Role::Pharmacist,
        provider: None,
    },
    StaffSeed {
        id: SUPPORT,
        email: "support@salus.example",
        given: "Jonah",
        family: "Whitlock",
        role: Role::Support,
        provider: None,
    },
    StaffSeed {
        id: AUDITOR,
        email: "auditor@salus.example",
        given: "Priya",
        family: "Raman",
        role: Role::Auditor,
        provider: None,
    },
    StaffSeed {
        id: ADMIN,
        email: "admin@salus.example",
        given: "Lucia",
        family: "Ferrant",
        role: Role::Admin,
        provider: None,
    },
    StaffSeed {
        id: SUPER_ADMIN,
        email: "super.admin@salus.example",
        given: "Henrik",
        family: "Dahl",
        role: Role::SuperAdmin,
        provider: None,
    },
];

/// The addresses that sign in, with their roles, for the demo to print.
pub fn sign_ins() -> impl Iterator<Item = (&'static str, Role)> {
    STAFF.iter().map(|seed| (seed.email, seed.role))
}

/// Seats the staff. Who is there already keeps the password and the licenses
/// they have.
pub async fn sow(services: &Services, password: &str) -> Result<(), IdentityError> {
    let actor = Actor::system("salus.seed");
    let expires_on = end_of_next_year(services.now());
    for seed in &STAFF {
        let provider = seed.provider.map(|provider| FirstProvider {
            npi: provider.npi.to_owned(),
            dea: Some(provider.dea.to_owned()),
            specialities: provider.specialities.iter().map(ToString::to_string).collect(),
            licenses: provider
                .licenses
                .iter()
                .map(|&(state, number)| License {
                    state,
                    number: number.to_owned(),
                    expires_on,
                    status: LicenseStatus::Active,
                })
                .collect(),
        });
        let staff = FirstStaff {
            id: seed.id,
            form: StaffForm {
                email: seed.email.to_owned(),
                given: seed.given.to_owned(),
                family: seed.family.to_owned(),
                roles: BTreeSet::from([seed.role]),
            },
            password: password.to_owned(),
            provider,
        };
        seat(services, &actor, staff).await?;
    }
    Ok(())
}

/// Licenses run to the end of a year; the demo's always have one to go.
fn end_of_next_year(now: DateTime<Utc>) -> NaiveDate {
    NaiveDate::from_ymd_opt(now.year() + 1, 12, 31).unwrap_or(now.date_naive())
}

#[cfg(test)]
mod tests {
    use kernel::{Dea, Npi};

    use super::*;

    #[test]
    fn made_up_numbers_have_valid_check_digits_and_no_state_is_served_twice() {
        let mut states = BTreeSet::new();
        for provider in STAFF.iter().filter_map(|seed| seed.provider) {
            provider.npi.parse::<Npi>().unwrap();
            provider.dea.parse::<Dea>().unwrap();
            for (state, _) in provider.licenses {
                assert!(states.insert(*state), "{state}");
            }
        }
        assert_eq!(states.len(), 6);
    }
}
