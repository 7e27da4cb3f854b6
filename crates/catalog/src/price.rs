//! Price tiers: what a plan costs and how often.

use std::{fmt, str::FromStr};

use kernel::{Money, PriceId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BillingInterval {
    Monthly,
    Quarterly,
    Yearly,
    /// Paid once for that many months, which is then over.
    Upfront {
        months: u16,
    },
}

impl BillingInterval {
    /// How many months one payment covers.
    pub const fn months(self) -> u16 {
        match self {
            Self::Monthly => 1,
            Self::Quarterly => 3,
            Self::Yearly => 12,
            Self::Upfront { months } => months,
        }
    }

    pub const fn is_recurring(self) -> bool {
        !matches!(self, Self::Upfront { .. })
    }
}

/// `monthly`, `quarterly`, `yearly` or, as for six months, `upfront_6`.
impl fmt::Display for BillingInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Monthly => f.write_str("monthly"),
            Self::Quarterly => f.write_str("quarterly"),
            Self::Yearly => f.write_str("yearly"),
            Self::Upfront { months } => write!(f, "upfront_{months}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a billing interval: monthly, quarterly, yearly, or upfront_N for 1 to 36 months")]
pub struct InvalidBillingInterval;

impl FromStr for BillingInterval {
    type Err = InvalidBillingInterval;

    fn from_str(value: &str) -> Result<Self, InvalidBillingInterval> {
        match value {
            "monthly" => Ok(Self::Monthly),
            "quarterly" => Ok(Self::Quarterly),
            "yearly" => Ok(Self::Yearly),
            _ => value
                .strip_prefix("upfront_")
                .and_then(|months| months.parse().ok())
                .filter(|months| (1..=36).contains(months))
                .map(|months| Self::Upfront { months })
                .ok_or(InvalidBillingInterval),
        }
    }
}

/// What an administrator says of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceSpec {
    pub interval: BillingInterval,
    /// What one interval costs.
    pub amount: Money,
}

/// A price that is or was offered. Its interval and amount never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    pub id: PriceId,
    pub interval: BillingInterval,
    pub amount: Money,
    /// Whether it is still offered to new subscribers.
    pub active: bool,
}

impl Price {
    pub fn offers(&self, spec: &PriceSpec) -> bool {
        self.active && self.interval == spec.interval && self.amount == spec.amount
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_reads_back_what_it_writes() {
        for interval in [
            BillingInterval::Monthly,
            BillingInterval::Quarterly,
            BillingInterval::Yearly,
            BillingInterval::Upfront { months: 6 },
        ] {
            assert_eq!(interval.to_string().parse(), Ok(interval));
        }
        for bad in ["", "weekly", "upfront_", "upfront_0", "upfront_37", "upfront_x"] {
            assert_eq!(bad.parse::<BillingInterval>(), Err(InvalidBillingInterval), "{bad}");
        }
    }
}
