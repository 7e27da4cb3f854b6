//! The ledger: double entry, append-only. A transaction can only be made by a
//! constructor that moves one amount from one account to another, so that it
//! balances by construction; the database checks it again.

use chrono::{DateTime, Utc};
use kernel::{InvoiceId, Money, PatientId, PaymentId, Uuid, Word};

use crate::{invoice::Invoice, payment::Payment};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word)]
pub enum Account {
    /// What patients owe (an asset).
    AccountsReceivable,
    /// What the gateway holds for us (an asset).
    Cash,
    /// What was billed and is still to be delivered (a liability).
    DeferredRevenue,
    /// What was delivered (income).
    Revenue,
    /// What will not be paid (an expense).
    BadDebt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum Side {
    Debit,
    Credit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum LedgerKind {
    InvoiceFinalized,
    PaymentReceived,
    /// A payment that came after the invoice was written off.
    PaymentRecovered,
    InvoiceVoided,
    InvoiceWrittenOff,
    RevenueRecognized,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    pub account: Account,
    pub side: Side,
    /// Never negative.
    pub amount: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerTransaction {
    pub id: Uuid,
    pub kind: LedgerKind,
    pub patient: PatientId,
    pub invoice: InvoiceId,
    pub payment: Option<PaymentId>,
    pub postings: Vec<Posting>,
    pub occurred_at: DateTime<Utc>,
}

impl LedgerTransaction {
    /// The invoice is owed, and what it bills is still to be delivered.
    pub fn invoice_finalized(id: Uuid, invoice: &Invoice, now: DateTime<Utc>) -> Self {
        Self::over(
            id,
            LedgerKind::InvoiceFinalized,
            invoice,
            (Account::AccountsReceivable, Account::DeferredRevenue),
            invoice.total,
            now,
        )
    }

    /// The money is with the gateway and no longer owed.
    pub fn payment_received(
        id: Uuid,
        invoice: &Invoice,
        payment: &Payment,
        recovered: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let (kind, credit) = if recovered {
            (LedgerKind::PaymentRecovered, Account::BadDebt)
        } else {
            (LedgerKind::PaymentReceived, Account::AccountsReceivable)
        };
        let mut transaction =
            Self::over(id, kind, invoice, (Account::Cash, credit), payment.amount, now);
        transaction.payment = Some(payment.id);
        transaction
    }

    pub fn invoice_voided(
        id: Uuid,
        invoice: &Invoice,
        written_off: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let credit = if written_off { Account::BadDebt } else { Account::AccountsReceivable };
        let accounts = (Account::DeferredRevenue, credit);
        Self::over(id, LedgerKind::InvoiceVoided, invoice, accounts, invoice.total, now)
    }

    pub fn invoice_written_off(id: Uuid, invoice: &Invoice, now: DateTime<Utc>) -> Self {
        let accounts = (Account::BadDebt, Account::AccountsReceivable);
        Self::over(id, LedgerKind::InvoiceWrittenOff, invoice, accounts, invoice.total, now)
    }

    /// A share of what an invoice billed was delivered.
    pub fn revenue_recognized(
        id: Uuid,
        invoice: &Invoice,
        amount: Money,
        now: DateTime<Utc>,
    ) -> Self {
        let accounts = (Account::DeferredRevenue, Account::Revenue);
        Self::over(id, LedgerKind::RevenueRecognized, invoice, accounts, amount, now)
    }

    fn over(
        id: Uuid,
        kind: LedgerKind,
        invoice: &Invoice,
        (debit, credit): (Account, Account),
        amount: Money,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            kind,
            patient: invoice.patient,
            invoice: invoice.id,
            payment: None,
            postings: vec![
                Posting { account: debit, side: Side::Debit, amount },
                Posting { account: credit, side: Side::Credit, amount },
            ],
            occurred_at: now,
        }
    }

    /// The amount that moved.
    pub fn amount(&self) -> i64 {
        self.postings
            .iter()
            .filter(|posting| posting.side == Side::Debit)
            .map(|posting| posting.amount.minor)
            .sum()
    }

    /// Whether debits and credits are equal in each currency and none is
    /// negative; what the store asks before it writes.
    pub fn is_balanced(&self) -> bool {
        let mut sums = std::collections::HashMap::new();
        for posting in &self.postings {
            if posting.amount.minor < 0 {
                return false;
            }
            let sum: &mut i128 = sums.entry(posting.amount.currency).or_default();
            let minor = i128::from(posting.amount.minor);
            *sum += if posting.side == Side::Debit { minor } else { -minor };
        }
        !self.postings.is_empty() && sums.values().all(|sum| *sum == 0)
    }
}

#[cfg(test)]
mod tests {
    use kernel::{InvoiceId, PaymentMethodId};
    use proptest::prelude::*;

    use super::*;
    use crate::invoice::{InvoiceNumber, tests};

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Pay,
        Void,
        WriteOff,
    }

    fn balance(ledger: &[LedgerTransaction], account: Account) -> i64 {
        ledger
            .iter()
            .flat_map(|transaction| &transaction.postings)
            .filter(|posting| posting.account == account)
            .map(|posting| match posting.side {
                Side::Debit => posting.amount.minor,
                Side::Credit => -posting.amount.minor,
            })
            .sum()
    }

    proptest! {
        /// Whatever is done to an invoice in whatever order, every transaction
        /// balances and the accounts say where the invoice stands.
        #[test]
        fn the_accounts_follow_the_invoice(
            minor in 1i64..10_000_000,
            steps in prop::collection::vec(
                prop_oneof![Just(Step::Pay), Just(Step::Void), Just(Step::WriteOff)], 0..6),
        ) {
            let now = DateTime::UNIX_EPOCH;
            let amount = Money::usd(minor);
            let mut invoice =
                Invoice::for_period(InvoiceId(Uuid::nil()), &tests::billable(amount), now)
                    .unwrap()
                    .finalize(InvoiceNumber(1), tests::parties(), now)
                    .unwrap();
            let mut ledger =
                vec![LedgerTransaction::invoice_finalized(Uuid::nil(), &invoice, now)];
            let payment = Payment::intend(
                PaymentId(Uuid::nil()), &invoice, PaymentMethodId(Uuid::nil()), 1, now,
            );
            for step in steps {
                let before = invoice.clone();
                match step {
                    Step::Pay => if let Ok(Some(paid)) = invoice.clone().pay(amount, now) {
                        let recovered = matches!(
                            invoice.state, crate::InvoiceState::Uncollectible { .. });
                        ledger.push(LedgerTransaction::payment_received(
                            Uuid::nil(), &invoice, &payment, recovered, now));
                        invoice = paid;
                    },
                    Step::Void => if let Ok((void, entry)) = invoice.clone().void(Uuid::nil(), now) {
                        ledger.push(entry);
                        invoice = void;
                    },
                    Step::WriteOff => if let Ok((lost, entry)) = invoice.clone().write_off(Uuid::nil(), now) {
                        ledger.push(entry);
                        invoice = lost;
                    },
                }
                prop_assert_eq!(before.lines, invoice.lines.clone());
                prop_assert_eq!(before.finalized, invoice.finalized.clone());
            }
            prop_assert!(ledger.iter().all(LedgerTransaction::is_balanced));
            let word = invoice.state.word();
            let expected = |account| match (word, account) {
                ("open", Account::AccountsReceivable) => minor,
                ("paid", Account::Cash) => minor,
                ("uncollectible", Account::BadDebt) => minor,
                ("void", Account::DeferredRevenue) => 0,
                (_, Account::DeferredRevenue) => -minor,
                _ => 0,
            };
            for account in [Account::AccountsReceivable, Account::Cash,
                Account::DeferredRevenue, Account::BadDebt, Account::Revenue] {
                prop_assert_eq!(balance(&ledger, account), expected(account), "{} {}", word, account);
            }
        }
    }

    #[test]
    fn a_transaction_that_does_not_balance_is_seen() {
        let now = DateTime::UNIX_EPOCH;
        let invoice =
            Invoice::for_period(InvoiceId(Uuid::nil()), &tests::billable(Money::usd(100)), now)
                .unwrap();
        let mut transaction = LedgerTransaction::invoice_finalized(Uuid::nil(), &invoice, now);
        assert!(transaction.is_balanced());
        transaction.postings[1].amount = Money::usd(99);
        assert!(!transaction.is_balanced());
        transaction.postings.clear();
        assert!(!transaction.is_balanced());
    }
}
