//! The aggregate: a subscription and its life cycle.
//!
//! `Pending` (the first invoice is open) → `Active` ⇄ `PastDue`, `Active` ⇄
//! `Paused`, and from every one of them → `Canceled`, which is the end.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use kernel::{
    AccountId, Actor, AssessmentId, CategoryId, CoveredTreatment, Feature, InvoiceId, Misfit,
    Money, PatientId, PlanId, PriceId, SubscriptionId, TreatedWith, Word,
};
use ports::Aggregate;

use crate::{BillingInterval, Period, SubscriptionError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The first invoice has not been paid yet.
    Pending,
    Active {
        since: DateTime<Utc>,
    },
    /// On hold by the patient's wish.
    Paused {
        since: DateTime<Utc>,
    },
    /// The payment of this invoice failed; it is being tried again.
    PastDue {
        since: DateTime<Utc>,
        invoice: InvoiceId,
    },
    Canceled {
        at: DateTime<Utc>,
    },
}

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
#[word("SubscriptionStatus")]
pub enum StateWord {
    Pending,
    Active,
    Paused,
    PastDue,
    Canceled,
}

impl State {
    pub fn word(&self) -> StateWord {
        match self {
            Self::Pending => StateWord::Pending,
            Self::Active { .. } => StateWord::Active,
            Self::Paused { .. } => StateWord::Paused,
            Self::PastDue { .. } => StateWord::PastDue,
            Self::Canceled { .. } => StateWord::Canceled,
        }
    }
}

/// The place of a plan among the plans of its category, from the lowest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Word)]
pub enum Tier {
    Basic,
    Standard,
    Premium,
}

/// The express consent to automatic renewal that California asks for: what was
/// shown, when it was accepted and from where. It is kept as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The version of the renewal terms that were shown.
    pub terms_version: String,
    /// The amount per period that was shown.
    pub amount: Money,
    pub interval: BillingInterval,
    pub accepted_at: DateTime<Utc>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("subscription", patient)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub patient: PatientId,
    pub category: CategoryId,
    /// The approval on which it was started.
    pub assessment: AssessmentId,
    pub plan: PlanId,
    pub price: PriceId,
    /// The version of the price that was bought; a later version of the
    /// catalogue does not change what a subscriber pays or gets.
    pub price_version: i32,
    pub plan_name: String,
    pub amount: Money,
    pub interval: BillingInterval,
    /// The tier of the plan as it was bought.
    pub tier: Tier,
    /// What the plan unlocked when it was bought.
    pub features: Vec<Feature>,
    /// The treatments that the plan paid for when it was bought; none where it
    /// was bought before plans named them, and then anything counts as covered.
    pub covers: Vec<CoveredTreatment>,
    pub zone: Tz,
    /// The local day on which it began.
    pub anchor: NaiveDate,
    pub consent: Consent,
    pub state: State,
    pub period: Period,
    /// It ends with its current period.
    pub cancel_at_period_end: bool,
    pub created_at: DateTime<Utc>,
    pub version: i64,
}

/// Why a state changed, as the history keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum ChangeReason {
    Started,
    FirstInvoicePaid,
    PaymentFailed,
    PaymentRecovered,
    Renewed,
    CancelRequested,
    CanceledByPatient,
    CanceledByStaff,
    PeriodEnded,
    /// There is no treatment any more that it could supply.
    TreatmentEnded,
    /// The treatment is not one of those that it pays for.
    TreatmentNotCovered,
}

/// One line of a subscription's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: DateTime<Utc>,
    pub from: Option<StateWord>,
    pub to: StateWord,
    pub reason: ChangeReason,
    pub period_index: u32,
    /// `account`, `client` or `system`.
    pub actor_kind: String,
    pub actor: Option<AccountId>,
}

/// When a cancellation takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
#[word("CancellationTime")]
pub enum CancelWhen {
    Now,
    /// With the period that is paid; one that was not paid for, or is overdue,
    /// ends at once.
    PeriodEnd,
}

/// What a subscription was bought with.
pub struct Purchase {
    pub id: SubscriptionId,
    pub patient: PatientId,
    pub assessment: AssessmentId,
    pub terms: crate::PriceTerms,
    pub zone: Tz,
    pub consent: Consent,
}

impl Subscription {
    pub fn start(
        purchase: Purchase,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(Self, Change), SubscriptionError> {
        let Purchase { id, patient, assessment, terms, zone, consent } = purchase;
        let anchor = now.with_timezone(&zone).date_naive();
        let subscription = Self {
            id,
            patient,
            category: terms.category,
            assessment,
            plan: terms.plan,
            price: terms.price,
            price_version: terms.version,
            plan_name: terms.plan_name,
            amount: terms.amount,
            interval: terms.interval,
            tier: terms.tier,
            features: terms.features,
            covers: terms.treatments,
            zone,
            anchor,
            consent,
            state: State::Pending,
            period: Period::of(anchor, zone, terms.interval, 0)?,
            cancel_at_period_end: !terms.renews,
            created_at: now,
            version: 1,
        };
        let change = subscription.change(None, ChangeReason::Started, actor, now);
        Ok((subscription, change))
    }

    /// An invoice was paid. The first payment activates, the payment of the
    /// invoice that had failed brings it back, and any other changes nothing.
    pub fn paid(
        &mut self,
        invoice: InvoiceId,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Option<Change> {
        let reason = match &self.state {
            State::Pending => ChangeReason::FirstInvoicePaid,
            State::PastDue { invoice: open, .. } if *open == invoice => {
                ChangeReason::PaymentRecovered
            }
            _ => return None,
        };
        Some(self.moved(State::Active { since: now }, reason, actor, now))
    }

    /// A payment failed. An active subscription becomes past due; a pending
    /// one stays pending, because nothing was bought yet.
    pub fn payment_failed(
        &mut self,
        invoice: InvoiceId,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Option<Change> {
        if !matches!(self.state, State::Active { .. }) {
            return None;
        }
        let past_due = State::PastDue { since: now, invoice };
        Some(self.moved(past_due, ChangeReason::PaymentFailed, actor, now))
    }

    /// Cancels now or with the current period. What has not been paid for yet,
    /// or is overdue, always ends at once.
    pub fn cancel(
        &mut self,
        when: CancelWhen,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Change, SubscriptionError> {
        match (&self.state, when) {
            (State::Canceled { .. }, _) => Err(self.cannot_become(StateWord::Canceled)),
            (State::Active { .. } | State::Paused { .. }, CancelWhen::PeriodEnd) => {
                Ok(self.ending(ChangeReason::CancelRequested, actor, now))
            }
            _ => {
                let reason = if actor.is_patient(self.patient) {
                    ChangeReason::CanceledByPatient
                } else {
                    ChangeReason::CanceledByStaff
                };
                Ok(self.moved(State::Canceled { at: now }, reason, actor, now))
            }
        }
    }

    /// The treatment that it supplied has ended. What is paid for runs out with
    /// its period; what was not paid for ends at once, because nothing will be
    /// sent for it. `None` where it ends anyway.
    pub fn treatment_ended(&mut self, actor: &Actor, now: DateTime<Utc>) -> Option<Change> {
        let reason = ChangeReason::TreatmentEnded;
        match self.state {
            State::Canceled { .. } => None,
            State::Pending | State::PastDue { .. } => {
                Some(self.moved(State::Canceled { at: now }, reason, actor, now))
            }
            State::Active { .. } | State::Paused { .. } if self.cancel_at_period_end => None,
            State::Active { .. } | State::Paused { .. } => Some(self.ending(reason, actor, now)),
        }
    }

    /// Why it does not pay for what the patient is treated with. What was
    /// bought before plans named treatments pays for all.
    pub fn misfit(&self, treated: Option<&TreatedWith>) -> Option<Misfit> {
        if self.covers.is_empty() {
            return None;
        }
        treated.and_then(|treated| Misfit::of(&self.covers, treated))
    }

    /// The current period is over: the one that runs now begins, or the subscription
    /// ends where that was asked for, or for the reason given: what is left to
    /// be sent is less than the period pays for, or something else than it
    /// pays for.
    pub fn renew(
        &mut self,
        ends: Option<ChangeReason>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Change, SubscriptionError> {
        if !matches!(self.state, State::Active { .. }) {
            return Err(self.cannot_become(StateWord::Active));
        }
        if now < self.period.end {
            return Err(SubscriptionError::NotDue);
        }
        let asked = self.cancel_at_period_end.then_some(ChangeReason::PeriodEnded);
        if let Some(reason) = asked.or(ends) {
            return Ok(self.moved(State::Canceled { at: now }, reason, actor, now));
        }
        // After an outage several may have passed; the one that runs now begins.
        loop {
            self.period = Period::of(self.anchor, self.zone, self.interval, self.period.index + 1)?;
            if now < self.period.end {
                break;
            }
        }
        Ok(self.change(Some(StateWord::Active), ChangeReason::Renewed, actor, now))
    }

    /// The periods between `last` and the current one, which nobody began.
    pub fn missed_since(&self, last: &Period) -> Result<Vec<Period>, SubscriptionError> {
        (last.index + 1..self.period.index)
            .map(|index| Period::of(self.anchor, self.zone, self.interval, index))
            .collect()
    }

    /// Whether the plan's features are open to the subscriber at that moment.
    /// While a failed payment is being tried again they stay open; one that
    /// ends with its period does so at that moment, whether or not the job
    /// that closes it has run.
    pub fn entitles(&self, at: DateTime<Utc>) -> bool {
        let over = self.cancel_at_period_end && at >= self.period.end;
        !over && matches!(self.state, State::Active { .. } | State::PastDue { .. })
    }

    pub fn is_canceled(&self) -> bool {
        matches!(self.state, State::Canceled { .. })
    }

    pub(crate) fn cannot_become(&self, to: StateWord) -> SubscriptionError {
        SubscriptionError::WrongState { from: self.state.word(), to }
    }

    /// It runs out with its period.
    fn ending(&mut self, reason: ChangeReason, actor: &Actor, now: DateTime<Utc>) -> Change {
        self.cancel_at_period_end = true;
        self.change(Some(self.state.word()), reason, actor, now)
    }

    fn moved(
        &mut self,
        state: State,
        reason: ChangeReason,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Change {
        let from = std::mem::replace(&mut self.state, state).word();
        self.change(Some(from), reason, actor, now)
    }

    fn change(
        &self,
        from: Option<StateWord>,
        reason: ChangeReason,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Change {
        Change {
            at,
            from,
            to: self.state.word(),
            reason,
            period_index: self.period.index,
            actor_kind: actor.kind_word().to_owned(),
            actor: actor.account(),
        }
    }
}

#[cfg(test)]
mod tests;
