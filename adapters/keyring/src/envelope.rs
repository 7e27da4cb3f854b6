//! The format of a sealed value:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 4 | number of the key-encryption key, big-endian |
//! | 12 | nonce of the wrapping |
//! | 48 | data key, wrapped by the key-encryption key, with its tag |
//! | 12 | nonce of the value |
//! | n + 16 | value, encrypted by the data key, with its tag |
//!
//! Every value has a data key of its own, so that a key-encryption key only
//! ever encrypts random keys. Both layers authenticate the version, the number
//! of the key and the place.

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

use crate::{KeyId, KeyringError, SecretKey};

const VERSION: u8 = 1;
const NONCE: usize = 12;
const WRAPPED: usize = 48;
const HEADER: usize = 1 + 4;
const TAG: usize = 16;

/// A sealed value, taken apart.
pub(crate) struct Parts<'a> {
    pub(crate) key: KeyId,
    header: &'a [u8],
    wrap_nonce: [u8; NONCE],
    wrapped: &'a [u8],
    nonce: [u8; NONCE],
    ciphertext: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, KeyringError> {
        if bytes.first() != Some(&VERSION) {
            return Err(KeyringError::UnknownFormat);
        }
        let mut rest = bytes;
        let mut take = |count: usize| {
            let (head, tail) = rest.split_at_checked(count).ok_or(KeyringError::UnknownFormat)?;
            rest = tail;
            Ok::<_, KeyringError>(head)
        };
        let header = take(HEADER)?;
        let wrap_nonce = fixed(take(NONCE)?)?;
        let wrapped = take(WRAPPED)?;
        let nonce = fixed(take(NONCE)?)?;
        if rest.len() < TAG {
            return Err(KeyringError::UnknownFormat);
        }
        let key = KeyId::from_be_bytes(fixed(&header[1..])?);
        Ok(Self { key, header, wrap_nonce, wrapped, nonce, ciphertext: rest })
    }
}

pub(crate) fn seal(
    id: KeyId,
    key: &SecretKey,
    place: &str,
    plain: &[u8],
) -> Result<Vec<u8>, KeyringError> {
    let mut header = [VERSION; HEADER];
    header[1..].copy_from_slice(&id.to_be_bytes());
    let aad = associated(&header, place);
    let data_key: SecretKey = Zeroizing::new(random()?);
    let wrap_nonce: [u8; NONCE] = random()?;
    let nonce: [u8; NONCE] = random()?;
    let wrapped = encrypt(key, wrap_nonce, &aad, data_key.as_slice())?;
    let ciphertext = encrypt(&data_key, nonce, &aad, plain)?;
    let parts: [&[u8]; 5] = [&header, &wrap_nonce, &wrapped, &nonce, &ciphertext];
    Ok(parts.concat())
}

pub(crate) fn open(
    parts: &Parts<'_>,
    key: &SecretKey,
    place: &str,
) -> Result<Vec<u8>, KeyringError> {
    let aad = associated(parts.header, place);
    let unwrapped = Zeroizing::new(decrypt(key, parts.wrap_nonce, &aad, parts.wrapped)?);
    let data_key: SecretKey = Zeroizing::new(fixed(&unwrapped)?);
    decrypt(&data_key, parts.nonce, &aad, parts.ciphertext)
}

/// Bytes from the operating system. They do not come through the `Ids` port,
/// because a test that fixes its ids must not fix nonces with them.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyringError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| KeyringError::Randomness)?;
    Ok(bytes)
}

fn associated(header: &[u8], place: &str) -> Vec<u8> {
    [header, place.as_bytes()].concat()
}

fn encrypt(
    key: &SecretKey,
    nonce: [u8; NONCE],
    aad: &[u8],
    msg: &[u8],
) -> Result<Vec<u8>, KeyringError> {
    cipher(key)?
        .encrypt(&Nonce::from(nonce), Payload { msg, aad })
        .map_err(|_| KeyringError::Altered)
}

fn decrypt(
    key: &SecretKey,
    nonce: [u8; NONCE],
    aad: &[u8],
    msg: &[u8],
) -> Result<Vec<u8>, KeyringError> {
    cipher(key)?
        .decrypt(&Nonce::from(nonce), Payload { msg, aad })
        .map_err(|_| KeyringError::Altered)
}

fn cipher(key: &SecretKey) -> Result<Aes256Gcm, KeyringError> {
    Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| KeyringError::UnknownFormat)
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], KeyringError> {
    bytes.try_into().map_err(|_| KeyringError::UnknownFormat)
}
