//! The stock of the demo's pharmacy: every drug of the formulary,
//! in two lots, so that the one that expires first is seen to go first.

use std::collections::BTreeSet;

use care::CareStore;
use chrono::{Months, NaiveDate};
use kernel::{Actor, Ndc};
use pharmacy::{
    PharmacyError,
    fulfilment::FulfilmentStore,
    inventory::{Receipt, receive::receive_lot},
};
use ports::{Env, IdempotencyKey, PortError};

/// Lot number, months until it expires, and units.
const LOTS: [(&str, u32, i64); 2] = [("D26-0417", 14, 3_000), ("D26-0902", 22, 6_000)];

/// Below this many units the stock of a drug is low.
const REORDER_LEVEL: i64 = 600;

/// Stocks what the formulary lists, at the pharmacy that ships where nobody
/// has chosen one. Each lot is taken in once ever: what was sent out since is
/// not put back. It follows the seeds of care and of the pharmacy directory.
pub async fn sow(
    env: &Env,
    store: &dyn FulfilmentStore,
    care: &dyn CareStore,
) -> Result<(), PharmacyError> {
    let actor = Actor::system("seed.inventory");
    let pharmacy = store.begin(&actor).await?.default_pharmacy(None).await?;
    let pharmacy = pharmacy.ok_or_else(|| PortError::not_found("pharmacy"))?.id;
    for ndc in drugs(care, &actor).await? {
        for (lot_number, months, quantity) in LOTS {
            let receipt = Receipt {
                pharmacy,
                ndc: ndc.clone(),
                lot_number: lot_number.to_owned(),
                expires_on: expiry(env.now().date_naive(), months),
                quantity,
                reorder_level: Some(REORDER_LEVEL),
            };
            let key = IdempotencyKey {
                operation: "seed.inventory",
                key: format!("{pharmacy}/{ndc}/{lot_number}"),
                fingerprint: [0; 32],
            };
            receive_lot(env, store, &actor, Some(&key), receipt).await?;
        }
    }
    Ok(())
}

/// The packages of the formulary.
async fn drugs(care: &dyn CareStore, actor: &Actor) -> ports::Result<BTreeSet<Ndc>> {
    let mut tx = care.begin(actor).await?;
    let listed = care::setting::listed(tx.as_mut()).await?;
    Ok(listed.into_iter().flat_map(|(drug, _)| drug.ndcs).collect())
}

/// Lots are good until the end of a month.
fn expiry(today: NaiveDate, months: u32) -> NaiveDate {
    use chrono::Datelike as _;
    let later = today + Months::new(months + 1);
    later - chrono::Days::new(u64::from(later.day()))
}

#[cfg(test)]
mod tests {
    use care::{DoseLimit, setup::set_dose_limit};
    use kernel::{Address, DeaSchedule, PageRequest, PharmacyId, UsState, Uuid};
    use pharmacy::{
        inventory::receive::stock_levels,
        prescription::{Pharmacy, read::put_pharmacy},
    };
    use salus_tests::Database;

    use super::*;

    #[test]
    fn a_lot_expires_at_the_end_of_a_month() {
        let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap();
        assert_eq!(expiry(day(2026, 12, 31), 14), day(2028, 2, 29));
        assert_eq!(expiry(day(2026, 3, 1), 22), day(2028, 1, 31));
    }

    #[tokio::test]
    async fn every_package_of_the_formulary_is_stocked_once() {
        let database = Database::fresh().await;
        let actor = Actor::system("tests.seed");
        let pharmacy = Pharmacy {
            id: PharmacyId(Uuid::from_u128(1)),
            ncpdp_id: "1234567".parse().unwrap(),
            npi: "1234567893".parse().unwrap(),
            name: "Example Mail Pharmacy".into(),
            address: Address {
                line1: "1 Main Street".into(),
                line2: None,
                city: "Boston".into(),
                state: UsState::Ma,
                postal_code: "02108".into(),
            },
            phone: "+16175550199".parse().unwrap(),
            mail_order: true,
            dea: None,
            licensed_in: [UsState::Ma].into(),
            active: true,
            version: 1,
        };
        put_pharmacy(&database.pg, &actor, &pharmacy).await.unwrap();
        let limit = DoseLimit {
            rxnorm: "312941".parse().unwrap(),
            display: "sertraline 50 MG Oral Tablet".into(),
            max_single: 200.0,
            max_daily: 200.0,
            unit: "mg".into(),
            reference: "Label, section 2".into(),
            strength: "50 MG".into(),
            schedule: DeaSchedule::None,
            ndcs: vec!["00049490066".parse().unwrap()],
            max_weekly: None,
            to_confirm: None,
            followed_by: None,
        };
        set_dose_limit(&database.pg, &actor, &limit).await.unwrap();
        for _ in 0..2 {
            sow(&database.env, &database.pg, &database.pg).await.unwrap();
        }
        let page = PageRequest::default();
        let levels = stock_levels(&database.pg, &actor, None, &page).await.unwrap().items;
        assert_eq!(levels.len(), 1);
        assert_eq!((levels[0].lots.len(), levels[0].on_hand()), (2, 9_000));
        assert!(!levels[0].is_low(database.env.now().date_naive()));
    }
}
