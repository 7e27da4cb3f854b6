//! The kinds of notification and the channels they go through.

use kernel::Word;
use serde::{Deserialize, Serialize};

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Word,
)]
#[word("ChannelWord")]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    InApp,
    Mail,
}

/// What a notification is about. Each kind has its own words in the
/// application; a mail says only that there is something to see.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Word,
)]
#[word("KindWord")]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    VerifyEmail,
    PasswordReset,
    /// Somebody tried to register with the address of an account.
    AccountExists,
    /// The link that proves a new address; it goes there.
    ChangeEmail,
    /// The link that proves a second factor to be the owner's.
    ConfirmFactor,
    /// The account has another address; it goes to the one before.
    AddressLeft,
    /// What the account signs in with has changed.
    SignInChanged,
    AssessmentDecided,
    ReviewDecided,
    PrescriptionChanged,
    DispatchCreated,
    ShipmentChanged,
    InvoiceFinalized,
    InvoicePaid,
    PaymentFailed,
    /// A subscription ends because its treatment has.
    SubscriptionStopped,
    MessageReceived,
    ConsultationChanged,
    TaskCreated,
    /// A colleague answers for the patient's care from now on.
    CareTeamChanged,
    /// A chart was opened in an emergency; it waits to be judged.
    GlassBroken,
    LicenseExpiring,
}

impl NotificationKind {
    /// The channels that this kind can go through.
    pub fn channels(self) -> &'static [Channel] {
        match self {
            // Whoever cannot sign in yet reads nothing in the application.
            Self::VerifyEmail
            | Self::PasswordReset
            | Self::AccountExists
            | Self::ChangeEmail
            | Self::ConfirmFactor
            | Self::AddressLeft => &[Channel::Mail],
            _ => &[Channel::InApp, Channel::Mail],
        }
    }

    /// Whether the recipient cannot switch it off: without these mails an
    /// account cannot be used, or a treatment ends without a word.
    pub fn mandatory(self, channel: Channel) -> bool {
        match self {
            Self::VerifyEmail
            | Self::PasswordReset
            | Self::AccountExists
            | Self::ChangeEmail
            | Self::ConfirmFactor
            | Self::AddressLeft => true,
            Self::SignInChanged
            | Self::PaymentFailed
            | Self::SubscriptionStopped
            | Self::CareTeamChanged
            | Self::GlassBroken => channel == Channel::Mail,
            _ => false,
        }
    }

    /// Every pair of a kind and a channel that it can go through.
    pub fn matrix() -> impl Iterator<Item = (Self, Channel)> {
        Self::ALL
            .iter()
            .flat_map(|kind| kind.channels().iter().map(move |channel| (*kind, *channel)))
    }
}
