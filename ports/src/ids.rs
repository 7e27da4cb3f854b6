use kernel::Uuid;

/// Fresh ids and randomness. Nothing else may make them.
pub trait Ids: Send + Sync {
    /// A UUIDv7.
    fn uuid(&self) -> Uuid;

    /// Bytes from the operating system's generator, fit for secrets.
    fn secret(&self) -> [u8; 32];
}

impl dyn Ids {
    /// A fresh typed id, as in `ids.fresh::<InvoiceId>()`.
    pub fn fresh<T: From<Uuid>>(&self) -> T {
        T::from(self.uuid())
    }
}
