use kernel::{DomainError, ErrorKind, FieldError, actor::MissingPermission};
use ports::PortError;

use crate::Tier;

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("there is no such category")]
    CategoryNotFound,
    #[error("there is no such plan")]
    PlanNotFound,
    #[error("there is no such price")]
    PriceNotFound,
    #[error("there is no such article")]
    ArticleNotFound,
    #[error("a subscription of the category whose plan is {0} or above opens this article")]
    ArticleLocked(Tier),
    #[error("there is no such feature flag")]
    FlagNotFound,
    #[error("only someone with an account has feature flags")]
    AccountRequired,
    #[error("the catalog entry breaks {} rules", .0.len())]
    Invalid(Vec<FieldError>),
    #[error("the category already has a plan of that name")]
    NameTaken,
    #[error("there is already a category of that slug")]
    SlugTaken,
    #[error("there is already a feature flag of that key")]
    KeyTaken,
    /// Somebody else changed the entry since it was read. The first field says
    /// which version is the current one, the others what has changed.
    #[error("the entry was changed since it was read")]
    VersionMismatch(Vec<FieldError>),
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    Port(#[from] PortError),
}

impl DomainError for CatalogError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::CategoryNotFound
            | Self::PlanNotFound
            | Self::PriceNotFound
            | Self::ArticleNotFound
            | Self::FlagNotFound => ErrorKind::NotFound,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::NameTaken | Self::SlugTaken | Self::KeyTaken => ErrorKind::Conflict,
            Self::VersionMismatch(_) => ErrorKind::PreconditionFailed,
            Self::AccountRequired | Self::ArticleLocked(_) | Self::Forbidden(_) => {
                ErrorKind::Forbidden
            }
            Self::Port(error) => error.kind(),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::CategoryNotFound => "catalog.category_not_found",
            Self::PlanNotFound => "catalog.plan_not_found",
            Self::PriceNotFound => "catalog.price_not_found",
            Self::ArticleNotFound => "catalog.article_not_found",
            Self::ArticleLocked(_) => "catalog.article_locked",
            Self::FlagNotFound => "catalog.flag_not_found",
            Self::AccountRequired => "catalog.account_required",
            Self::Invalid(_) => "catalog.invalid",
            Self::NameTaken => "catalog.name_taken",
            Self::SlugTaken => "catalog.slug_taken",
            Self::KeyTaken => "catalog.flag_key_taken",
            Self::VersionMismatch(_) => "catalog.version_mismatch",
            Self::Forbidden(_) => "forbidden",
            Self::Port(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(fields) | Self::VersionMismatch(fields) => fields,
            Self::Port(error) => error.fields(),
            _ => &[],
        }
    }
}
