//! Passwords under Argon2id, on threads of their own.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc},
};
use async_trait::async_trait;
use identity::{PasswordHash, PasswordHasher};
use ports::{Ids, PortError, Result};
use tokio::sync::Semaphore;

/// Argon2id with 19 MiB, two passes and one lane, the least that OWASP's
/// cheat sheet on password storage names.
pub struct Argon2Passwords {
    argon2: Argon2<'static>,
    ids: Arc<dyn Ids>,
    /// Each digest takes 19 MiB and a processor, so only so many run at once;
    /// the others wait their turn without blocking a thread.
    turns: Arc<Semaphore>,
    /// Somebody's password that nobody knows: what an unknown address is
    /// verified against.
    nobody: String,
}

impl Argon2Passwords {
    pub fn new(ids: Arc<dyn Ids>) -> Result<Self> {
        let params = Params::new(19 * 1024, 2, 1, None)
            .map_err(|error| PortError::internal("the parameters of Argon2", error))?;
        Self::with_params(ids, params)
    }

    fn with_params(ids: Arc<dyn Ids>, params: Params) -> Result<Self> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, &ids.secret(), &ids.secret()[..16])?;
        let parallel = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self { argon2, ids, turns: Arc::new(Semaphore::new(parallel)), nobody })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Argon2<'static>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|error| PortError::internal("waiting to hash a password", error))?;
        let argon2 = self.argon2.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(argon2)
        })
        .await
        .map_err(|error| PortError::internal("hashing a password", error))?
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Result<String> {
    let hash: phc::PasswordHash = argon2
        .hash_password_with_salt(password, salt)
        .map_err(|error| PortError::internal("hashing a password", error))?;
    Ok(hash.to_string())
}

#[async_trait]
impl PasswordHasher for Argon2Passwords {
    async fn hash(&self, password: &str) -> Result<PasswordHash> {
        let password = password.to_owned();
        let salt = self.ids.secret();
        let phc = self.run(move |argon2| hash(&argon2, password.as_bytes(), &salt[..16])).await?;
        Ok(PasswordHash::from_phc(phc))
    }

    async fn verify(&self, password: &str, known: Option<&PasswordHash>) -> Result<bool> {
        let exists = known.is_some();
        let phc = known.map_or_else(|| self.nobody.clone(), |hash| hash.as_phc().to_owned());
        let password = password.to_owned();
        let right = self
            .run(move |argon2| {
                let parsed = phc::PasswordHash::new(&phc).map_err(|error| {
                    PortError::internal("a stored password hash does not parse", error)
                })?;
                Ok(argon2.verify_password(password.as_bytes(), &parsed).is_ok())
            })
            .await?;
        Ok(right && exists)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;

    use super::*;

    struct TestIds;

    impl Ids for TestIds {
        fn uuid(&self) -> Uuid {
            Uuid::from_u128(1)
        }

        fn secret(&self) -> [u8; 32] {
            *b"a salt that only tests would use"
        }
    }

    #[tokio::test]
    async fn only_the_right_password_verifies_and_nobody_has_one() {
        let passwords = Argon2Passwords::new(Arc::new(TestIds)).unwrap();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_phc());
        assert!(passwords.verify("correct horse", Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct house", Some(&hash)).await.unwrap());
        // Not even the password behind the stand-in lets an unknown address in.
        let stand_in = String::from_utf8(TestIds.secret().to_vec()).unwrap();
        assert!(!passwords.verify(&stand_in, None).await.unwrap());
    }
}
