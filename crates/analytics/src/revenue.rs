//! Monthly recurring revenue: what the running subscriptions bring in a month
//! when nothing changes.

use std::num::NonZeroU32;

use kernel::{CategoryId, Currency, Money, SubscriptionId, Word, money::MoneyError};

/// Where a subscription stands, as far as revenue is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum Standing {
    /// Not paid for yet.
    Pending,
    /// Running, even while a payment is overdue.
    Active,
    Paused,
    Ended,
}

/// Something that a subscriber is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The price of a period of so many months, without tax.
    Recurring {
        amount: Money,
        months: NonZeroU32,
    },
    /// A set-up fee, a kit, a credit.
    OneOff {
        amount: Money,
    },
    Tax {
        amount: Money,
    },
}

/// What revenue is computed from: a subscription as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub subscription: SubscriptionId,
    pub category: CategoryId,
    pub standing: Standing,
    pub currency: Currency,
    pub charges: Vec<Charge>,
}

impl Position {
    /// What it adds to a month: recurring charges, spread over the months that
    /// they pay for. Tax is not ours, a one-off does not recur, and whoever
    /// is not running brings nothing.
    pub fn monthly(&self) -> Result<Money, MoneyError> {
        let zero = Money::zero(self.currency);
        if self.standing != Standing::Active {
            return Ok(zero);
        }
        self.charges.iter().try_fold(zero, |sum, charge| match charge {
            Charge::Recurring { amount, months } => {
                sum.checked_add(amount.share(1, i64::from(months.get()))?)
            }
            Charge::OneOff { .. } | Charge::Tax { .. } => Ok(sum),
        })
    }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;
    use proptest::prelude::*;

    use super::*;

    fn position(standing: Standing, charges: Vec<Charge>) -> Position {
        Position {
            subscription: SubscriptionId(Uuid::from_u128(1)),
            category: CategoryId(Uuid::from_u128(2)),
            standing,
            currency: Currency::Usd,
            charges,
        }
    }

    fn recurring(minor: i64, months: u32) -> Charge {
        Charge::Recurring { amount: Money::usd(minor), months: NonZeroU32::new(months).unwrap() }
    }

    #[test]
    fn a_year_paid_upfront_counts_a_twelfth() {
        let yearly = position(Standing::Active, vec![recurring(120_000, 12)]);
        assert_eq!(yearly.monthly().unwrap(), Money::usd(10_000));
    }

    #[test]
    fn a_charge_in_another_currency_is_an_error_and_not_a_sum() {
        let euros =
            Charge::Recurring { amount: Money::new(100, Currency::Eur), months: NonZeroU32::MIN };
        assert!(position(Standing::Active, vec![euros]).monthly().is_err());
    }

    proptest! {
        #[test]
        fn tax_and_one_offs_change_nothing(
            minor in 0i64..10_000_000, months in 1u32..37, other in -1_000_000i64..1_000_000,
        ) {
            let plain = position(Standing::Active, vec![recurring(minor, months)]);
            let more = position(Standing::Active, vec![
                Charge::Tax { amount: Money::usd(other) },
                recurring(minor, months),
                Charge::OneOff { amount: Money::usd(other) },
            ]);
            prop_assert_eq!(plain.monthly().unwrap(), more.monthly().unwrap());
        }

        #[test]
        fn the_months_together_are_the_price_up_to_rounding(
            minor in 0i64..10_000_000, months in 1u32..37,
        ) {
            let monthly = position(Standing::Active, vec![recurring(minor, months)])
                .monthly().unwrap().minor;
            let off = (monthly * i64::from(months) - minor).abs();
            prop_assert!(off * 2 <= i64::from(months));
        }

        #[test]
        fn whoever_is_not_running_brings_nothing(
            minor in 0i64..10_000_000,
            standing in prop::sample::select(vec![
                Standing::Pending, Standing::Paused, Standing::Ended,
            ]),
        ) {
            let position = position(standing, vec![recurring(minor, 1)]);
            prop_assert_eq!(position.monthly().unwrap(), Money::usd(0));
        }
    }
}
