//! The socket for setting an invoice as a document.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::Money;
use ports::Result;

use crate::{
    error::BillingError,
    invoice::{Invoice, InvoiceLine, InvoiceState, Parties, Period},
};

/// A finalized invoice, ready to be set. The same document always gives the
/// same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceDocument {
    pub number: String,
    pub parties: Parties,
    pub period: Period,
    pub lines: Vec<InvoiceLine>,
    pub total: Money,
    pub finalized_at: DateTime<Utc>,
    pub paid_at: Option<DateTime<Utc>>,
    /// It is void or was written off, and must not be paid.
    pub withdrawn: bool,
}

impl InvoiceDocument {
    pub fn of(invoice: &Invoice) -> Result<Self, BillingError> {
        let Some(finalized) = &invoice.finalized else {
            return Err(BillingError::InvoiceState(invoice.state.word()));
        };
        Ok(Self {
            number: finalized.number.to_string(),
            parties: finalized.parties.clone(),
            period: invoice.period,
            lines: invoice.lines.clone(),
            total: invoice.total,
            finalized_at: finalized.at,
            paid_at: match invoice.state {
                InvoiceState::Paid { at } => Some(at),
                _ => None,
            },
            withdrawn: matches!(
                invoice.state,
                InvoiceState::Void { .. } | InvoiceState::Uncollectible { .. }
            ),
        })
    }
}

#[async_trait]
pub trait InvoiceRenderer: Send + Sync {
    /// The document as PDF.
    async fn render(&self, document: &InvoiceDocument) -> Result<Vec<u8>>;
}
