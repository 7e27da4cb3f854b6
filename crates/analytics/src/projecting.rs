//! From what happened to what is counted.

use async_trait::async_trait;
use kernel::{Actor, SubscriptionId};
use ports::{AuditAction, AuditEntry, Envelope, Event, Result};

use crate::{AnalyticsError, AnalyticsStore, Position, journey::stage_of};

/// The name under which the handler's deliveries are recorded.
pub const HANDLER: &str = "analytics.project";

/// What a subscription is now. Subscriptions answers it with the price that
/// was bought, which a later change of the catalogue does not touch.
#[async_trait]
pub trait SubscriptionFacts: Send + Sync {
    /// `None` where there is no such subscription.
    async fn position(&self, subscription: SubscriptionId) -> Result<Option<Position>>;
}

/// Whether an event changes what is counted.
pub fn counts(event: &Event) -> bool {
    stage_of(event).is_some() || subscription_of(event).is_some()
}

/// Brings the figures up to date with an event. It takes a subscription as it
/// is when the event is handled, so events that come late or twice do no harm.
pub async fn project(
    store: &dyn AnalyticsStore,
    facts: &dyn SubscriptionFacts,
    envelope: &Envelope,
) -> Result<(), AnalyticsError> {
    let stage = stage_of(&envelope.event);
    let subscription = subscription_of(&envelope.event);
    if stage.is_none() && subscription.is_none() {
        return Ok(());
    }
    let position = match subscription {
        Some(id) => facts.position(id).await?,
        None => None,
    };
    let mut tx = store.begin(&Actor::system(HANDLER)).await?;
    if let Some((patient, stage)) = stage {
        tx.reach(patient, stage, envelope.occurred_at).await?;
    }
    if let Some(position) = &position {
        tx.save_position(position, position.monthly()?).await?;
    }
    tx.audit(AuditEntry::new(AuditAction::Update, "analytics_projection", envelope.id));
    tx.commit().await?;
    Ok(())
}

/// The subscription whose standing an event may have changed.
fn subscription_of(event: &Event) -> Option<SubscriptionId> {
    match event {
        Event::SubscriptionActivated { subscription, .. }
        | Event::SubscriptionCanceled { subscription, .. }
        | Event::SubscriptionPeriodStarted { subscription, .. } => Some(*subscription),
        _ => None,
    }
}
