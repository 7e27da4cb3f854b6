//! The addresses to which mails are refused for good. Only a blind index of each is stored.

use kernel::{EmailAddress, NotificationId};
use ports::Result;
use sea_orm::Value;

use super::queries::count;
use pg::PgTx;

pub async fn holds(tx: &PgTx, address: &EmailAddress) -> Result<bool> {
    let sql = "SELECT count(*) AS count FROM suppressed_mail_addresses WHERE address_index = $1";
    Ok(count(tx, "looking for a suppressed address", sql, index(tx, address)?).await? > 0)
}

pub async fn add(tx: &mut PgTx, address: &EmailAddress, because_of: NotificationId) -> Result<()> {
    let (index, now) = (index(tx, address)?, tx.now());
    tx.execute(
        "suppressing an address",
        "INSERT INTO suppressed_mail_addresses (address_index, notification_id, since) \
         VALUES ($1, $2, $3) ON CONFLICT (address_index) DO NOTHING",
        [index, because_of.into(), now.into()],
    )
    .await?;
    Ok(())
}

fn index(tx: &PgTx, address: &EmailAddress) -> Result<Value> {
    let index = tx.sealer().blind_index("suppressed_mail_addresses.address", address.as_str())?;
    Ok(index.0.to_vec().into())
}
