use kernel::{DomainError, FieldError, actor::MissingPermission};
use ports::{Aggregate, PortError};

use crate::Tier;

#[derive(Debug, thiserror::Error, DomainError)]
pub enum CatalogError {
    #[error("a subscription of the category whose plan is {0} or above opens this article")]
    #[domain(Forbidden, "catalog.article_locked")]
    ArticleLocked(Tier),
    #[error("only someone with an account has feature flags")]
    #[domain(Forbidden, "catalog.account_required")]
    AccountRequired,
    #[error("the catalog entry breaks {} rules", .0.len())]
    #[domain(Invalid, "catalog.invalid", fields)]
    Invalid(Vec<FieldError>),
    #[error("the category already has a plan of that name")]
    #[domain(Conflict, "catalog.name_taken")]
    NameTaken,
    #[error("there is already a category of that slug")]
    #[domain(Conflict, "catalog.slug_taken")]
    SlugTaken,
    #[error("there is already a feature flag of that key")]
    #[domain(Conflict, "catalog.flag_key_taken")]
    KeyTaken,
    #[error(transparent)]
    #[domain(Forbidden, "forbidden")]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    #[domain(transparent)]
    Port(#[from] PortError),
}

impl CatalogError {
    /// For what is there and not shown to the caller.
    pub(crate) fn no<A: Aggregate>() -> Self {
        PortError::not_found(A::NAME).into()
    }
}
