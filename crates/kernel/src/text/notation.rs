//! Texts with a notation of their own, as an NPI, which the type of the domain
//! reads.

use strum::{EnumIter, IntoStaticStr};

use crate::{
    Currency, Dea, EmailAddress, Icd10, NcpdpId, Ndc, Npi, PhoneNumber, PostalCode, RxNorm, UsState,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Notation {
    Currency,
    Dea,
    Email,
    #[strum(serialize = "icd-10-cm")]
    Icd10,
    NcpdpId,
    Ndc,
    Npi,
    Phone,
    #[strum(serialize = "rxcui")]
    RxNorm,
    TimeZone,
    UsState,
    UsZip,
}

impl Notation {
    pub(super) fn reads(self, text: &str) -> bool {
        match self {
            Self::Currency => text.parse::<Currency>().is_ok(),
            Self::Dea => text.parse::<Dea>().is_ok(),
            Self::Email => text.parse::<EmailAddress>().is_ok(),
            Self::Icd10 => text.parse::<Icd10>().is_ok(),
            Self::NcpdpId => text.parse::<NcpdpId>().is_ok(),
            Self::Ndc => Ndc::printed(text).is_ok(),
            Self::Npi => text.parse::<Npi>().is_ok(),
            Self::Phone => text.parse::<PhoneNumber>().is_ok(),
            Self::RxNorm => text.parse::<RxNorm>().is_ok(),
            Self::TimeZone => text.parse::<chrono_tz::Tz>().is_ok(),
            Self::UsState => text.parse::<UsState>().is_ok(),
            Self::UsZip => text.parse::<PostalCode>().is_ok(),
        }
    }

    /// What such a text looks like.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Currency => "One of USD, CAD, EUR and GBP.",
            Self::Dea => "Two letters and seven digits, the last of them the check digit.",
            Self::Email => "An e-mail address, as in ada@example.com.",
            Self::Icd10 => "An ICD-10-CM code with its dot, as in F41.1.",
            Self::NcpdpId => "Seven digits.",
            Self::Ndc => "An NDC: eleven digits, or its three groups with hyphens.",
            Self::Npi => "Ten digits, the last of them the check digit.",
            Self::Phone => "A telephone number in E.164 form, as in +12125550123.",
            Self::RxNorm => "An RxNorm concept identifier, as in 200172.",
            Self::TimeZone => "An IANA time zone, as in America/New_York.",
            Self::UsState => "The postal code of a US state, as in MA.",
            Self::UsZip => "A ZIP code has five digits, or nine with a dash after the fifth.",
        }
    }
}
