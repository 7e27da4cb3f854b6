//! The invoice: a draft until it is numbered, and frozen from then on.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use kernel::{
    Address, CategoryId, Currency, InvoiceId, Money, PatientId, SubscriptionId, money::MoneyError,
};
use serde::{Deserialize, Serialize};

use crate::{error::BillingError, ledger::LedgerTransaction, outside::BillablePeriod};

/// A number of the one gapless series; it never starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvoiceNumber(pub i64);

impl fmt::Display for InvoiceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SAL-{:08}", self.0)
    }
}

/// From one local midnight of the customer to another, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    pub zone: Tz,
}

impl Period {
    pub fn first_day(&self) -> NaiveDate {
        self.start.with_timezone(&self.zone).date_naive()
    }

    /// The last day that is paid for.
    pub fn last_day(&self) -> NaiveDate {
        let end = self.end.with_timezone(&self.zone);
        (end - chrono::Duration::nanoseconds(1)).date_naive()
    }
}

/// One side of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    pub name: String,
    pub address: Option<Address>,
    pub email: Option<String>,
    /// The tax number, of a seller.
    pub tax_id: Option<String>,
}

/// Who sells and who buys, as they were when the invoice was finalized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parties {
    pub seller: Party,
    pub bill_to: Party,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceLine {
    pub description: String,
    pub quantity: i64,
    pub unit_price: Money,
    pub amount: Money,
}

impl InvoiceLine {
    pub fn new(
        description: impl Into<String>,
        quantity: i64,
        unit_price: Money,
    ) -> Result<Self, MoneyError> {
        let amount = unit_price.times(quantity)?;
        Ok(Self { description: description.into(), quantity, unit_price, amount })
    }
}

/// What was fixed when the invoice was finalized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finalized {
    pub number: InvoiceNumber,
    pub at: DateTime<Utc>,
    pub parties: Parties,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceState {
    Draft,
    Open,
    Paid { at: DateTime<Utc> },
    Void { at: DateTime<Utc> },
    Uncollectible { at: DateTime<Utc> },
}

impl InvoiceState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid { .. } => "paid",
            Self::Void { .. } => "void",
            Self::Uncollectible { .. } => "uncollectible",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    pub id: InvoiceId,
    pub patient: PatientId,
    pub subscription: SubscriptionId,
    pub category: CategoryId,
    pub period: Period,
    pub lines: Vec<InvoiceLine>,
    pub total: Money,
    pub state: InvoiceState,
    /// Absent only on a draft.
    pub finalized: Option<Finalized>,
    pub created_at: DateTime<Utc>,
    pub version: i64,
}

impl Invoice {
    /// The draft for one period of a subscription.
    pub fn for_period(
        id: InvoiceId,
        billable: &BillablePeriod,
        now: DateTime<Utc>,
    ) -> Result<Self, BillingError> {
        let line = InvoiceLine::new(billable.plan_name.clone(), 1, billable.price)?;
        let lines = vec![line];
        Ok(Self {
            id,
            patient: billable.patient,
            subscription: billable.subscription,
            category: billable.category,
            period: billable.period,
            total: total(&lines, billable.price.currency)?,
            lines,
            state: InvoiceState::Draft,
            finalized: None,
            created_at: now,
            version: 0,
        })
    }

    /// Numbers and freezes the invoice. One that costs nothing is paid at once.
    pub fn finalize(
        mut self,
        number: InvoiceNumber,
        parties: Parties,
        now: DateTime<Utc>,
    ) -> Result<Self, BillingError> {
        if self.state != InvoiceState::Draft {
            return Err(BillingError::InvoiceState(self.state.word()));
        }
        if total(&self.lines, self.total.currency)? != self.total || self.total.minor < 0 {
            return Err(BillingError::InvoiceState("not the sum of its lines"));
        }
        self.finalized = Some(Finalized { number, at: now, parties });
        self.state =
            if self.total.minor == 0 { InvoiceState::Paid { at: now } } else { InvoiceState::Open };
        Ok(self)
    }

    pub fn is_open(&self) -> bool {
        self.state == InvoiceState::Open
    }

    /// Pays the invoice in full. `None` when it is paid already, so that a
    /// confirmation that comes twice changes nothing. A written-off invoice
    /// can still be paid.
    pub fn pay(mut self, amount: Money, now: DateTime<Utc>) -> Result<Option<Self>, BillingError> {
        match self.state {
            InvoiceState::Paid { .. } => Ok(None),
            InvoiceState::Open | InvoiceState::Uncollectible { .. } => {
                if amount != self.total {
                    return Err(BillingError::Invalid(vec![kernel::FieldError::new(
                        "amount",
                        "not_the_total",
                        "The amount that was received is not the total of the invoice.",
                    )]));
                }
                self.state = InvoiceState::Paid { at: now };
                Ok(Some(self))
            }
            InvoiceState::Draft | InvoiceState::Void { .. } => {
                Err(BillingError::InvoiceState(self.state.word()))
            }
        }
    }

    /// Takes back an invoice that must not be paid. Its number stays taken.
    pub fn void(
        mut self,
        transaction: kernel::Uuid,
        now: DateTime<Utc>,
    ) -> Result<(Self, LedgerTransaction), BillingError> {
        match self.state {
            InvoiceState::Open | InvoiceState::Uncollectible { .. } => {
                let written_off = matches!(self.state, InvoiceState::Uncollectible { .. });
                let ledger =
                    LedgerTransaction::invoice_voided(transaction, &self, written_off, now);
                self.state = InvoiceState::Void { at: now };
                Ok((self, ledger))
            }
            state => Err(BillingError::InvoiceState(state.word())),
        }
    }

    /// Writes the invoice off.
    pub fn write_off(
        mut self,
        transaction: kernel::Uuid,
        now: DateTime<Utc>,
    ) -> Result<(Self, LedgerTransaction), BillingError> {
        if self.state != InvoiceState::Open {
            return Err(BillingError::InvoiceState(self.state.word()));
        }
        let ledger = LedgerTransaction::invoice_written_off(transaction, &self, now);
        self.state = InvoiceState::Uncollectible { at: now };
        Ok((self, ledger))
    }
}

fn total(lines: &[InvoiceLine], currency: Currency) -> Result<Money, MoneyError> {
    lines.iter().try_fold(Money::zero(currency), |sum, line| sum.checked_add(line.amount))
}

#[cfg(test)]
pub(crate) mod tests {
    use kernel::Uuid;
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn billable(price: Money) -> BillablePeriod {
        BillablePeriod {
            subscription: SubscriptionId(Uuid::from_u128(1)),
            patient: PatientId(Uuid::from_u128(2)),
            category: CategoryId(Uuid::from_u128(3)),
            plan_name: "Monthly".into(),
            price,
            period: Period {
                start: "2026-01-31T05:00:00Z".parse().unwrap(),
                end: "2026-02-28T05:00:00Z".parse().unwrap(),
                zone: Tz::America__New_York,
            },
        }
    }

    /// One that waits to be paid.
    pub(crate) fn finalized(price: Money) -> Invoice {
        let now = DateTime::UNIX_EPOCH;
        Invoice::for_period(InvoiceId(Uuid::nil()), &billable(price), now)
            .unwrap()
            .finalize(InvoiceNumber(1), parties(), now)
            .unwrap()
    }

    pub(crate) fn parties() -> Parties {
        let party =
            |name: &str| Party { name: name.into(), address: None, email: None, tax_id: None };
        Parties { seller: party("Salus"), bill_to: party("Ada Lovelace") }
    }

    fn now() -> DateTime<Utc> {
        "2026-02-01T00:00:00Z".parse().unwrap()
    }

    fn draft(minor: i64) -> Invoice {
        Invoice::for_period(InvoiceId(Uuid::from_u128(9)), &billable(Money::usd(minor)), now())
            .unwrap()
    }

    fn open(minor: i64) -> Invoice {
        draft(minor).finalize(InvoiceNumber(7), parties(), now()).unwrap()
    }

    #[test]
    fn the_number_comes_with_finalizing_and_only_once() {
        assert_eq!(draft(4900).finalized, None);
        let invoice = open(4900);
        assert_eq!(invoice.state, InvoiceState::Open);
        assert_eq!(invoice.finalized.as_ref().unwrap().number.to_string(), "SAL-00000007");
        assert!(invoice.finalize(InvoiceNumber(8), parties(), now()).is_err());
    }

    #[test]
    fn an_invoice_over_nothing_is_paid_at_once() {
        assert_eq!(open(0).state, InvoiceState::Paid { at: now() });
    }

    #[test]
    fn a_payment_pays_once_and_only_in_full() {
        assert!(open(4900).pay(Money::usd(4899), now()).is_err());
        let paid = open(4900).pay(Money::usd(4900), now()).unwrap().unwrap();
        assert_eq!(paid.clone().pay(Money::usd(4900), now()).unwrap(), None);
        assert!(paid.void(Uuid::nil(), now()).is_err());
        assert!(draft(4900).pay(Money::usd(4900), now()).is_err());
    }

    #[test]
    fn a_written_off_invoice_can_be_paid_or_voided_but_a_void_one_cannot() {
        let (invoice, _) = open(100).write_off(Uuid::nil(), now()).unwrap();
        assert!(invoice.clone().pay(Money::usd(100), now()).unwrap().is_some());
        let (invoice, _) = invoice.void(Uuid::nil(), now()).unwrap();
        assert!(invoice.pay(Money::usd(100), now()).is_err());
    }

    #[test]
    fn a_period_is_shown_in_the_days_of_the_customer() {
        let period = billable(Money::usd(1)).period;
        assert_eq!(period.first_day().to_string(), "2026-01-31");
        assert_eq!(period.last_day().to_string(), "2026-02-27");
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_the_lines(lines in prop::collection::vec((1i64..100, 0i64..1_000_000), 1..20)) {
            let mut invoice = draft(0);
            invoice.lines = lines.iter().map(|(quantity, price)| {
                InvoiceLine::new("x", *quantity, Money::usd(*price)).unwrap()
            }).collect();
            invoice.total = total(&invoice.lines, Currency::Usd).unwrap();
            let sum: i64 = lines.iter().map(|(quantity, price)| quantity * price).sum();
            prop_assert_eq!(invoice.total.minor, sum);
            invoice.total.minor += 1;
            prop_assert!(invoice.finalize(InvoiceNumber(1), parties(), now()).is_err());
        }
    }
}
