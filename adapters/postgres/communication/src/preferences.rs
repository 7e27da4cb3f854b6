//! What accounts want to be told.

use communication::{Channel, Preference, Preferences};
use kernel::AccountId;
use ports::Result;
use sea_orm::FromQueryResult;

use pg::PgTx;

#[derive(FromQueryResult)]
struct Chosen {
    kind: String,
    channel: Channel,
    enabled: bool,
}

pub async fn of(tx: &PgTx, account: AccountId) -> Result<Preferences> {
    let found: Vec<Chosen> = tx
        .rows(
            "loading notification preferences",
            "SELECT kind, channel, enabled FROM notification_preferences WHERE account_id = $1",
            [account.into()],
        )
        .await?;
    // A choice of a kind that there is no more is moot.
    let known = found.into_iter().filter_map(|Chosen { kind, channel, enabled }| {
        Some(Preference { kind: kind.parse().ok()?, channel, enabled })
    });
    Ok(Preferences::new(known))
}

pub async fn save(tx: &mut PgTx, account: AccountId, changes: &[Preference]) -> Result<()> {
    let now = tx.now();
    for Preference { kind, channel, enabled } in changes.iter().copied() {
        tx.execute(
            "saving a notification preference",
            "INSERT INTO notification_preferences \
             (account_id, kind, channel, enabled, changed_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (account_id, kind, channel) \
             DO UPDATE SET enabled = excluded.enabled, changed_at = excluded.changed_at",
            [account.into(), kind.into(), channel.into(), enabled.into(), now.into()],
        )
        .await?;
    }
    Ok(())
}
