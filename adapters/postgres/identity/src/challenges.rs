//! The three columns of a challenge: all of them hold something, or none does.

use chrono::{DateTime, Utc};
use identity::Challenge;
use pg::Unreadable;

pub type Columns = (Option<Vec<u8>>, Option<DateTime<Utc>>, Option<DateTime<Utc>>);

pub fn open((nonce, issued_at, expires_at): Columns) -> Result<Option<Challenge>, Unreadable> {
    let Some(((nonce, issued_at), expires_at)) = nonce.zip(issued_at).zip(expires_at) else {
        return Ok(None);
    };
    Ok(Some(Challenge { nonce: nonce.as_slice().try_into()?, issued_at, expires_at }))
}

pub fn close(challenge: Option<Challenge>) -> Columns {
    (
        challenge.map(|open| open.nonce.to_vec()),
        challenge.map(|open| open.issued_at),
        challenge.map(|open| open.expires_at),
    )
}
