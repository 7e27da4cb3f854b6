//! The words of communication as they stand on the wire.

use communication::{
    BodyFormat, Channel, MessageStatus, NotificationKind, NotificationState, Topic,
};
use poem_openapi::Enum;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident is $domain:ty { $($variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        #[oai(rename_all = "snake_case")]
        pub enum $name {$($variant,)+}

        impl From<$name> for $domain {
            fn from(word: $name) -> Self {
                match word {$($name::$variant => Self::$variant,)+}
            }
        }

        impl From<$domain> for $name {
            fn from(value: $domain) -> Self {
                match value {$(<$domain>::$variant => Self::$variant,)+}
            }
        }
    )+};
}

words! {
    /// What a thread is about.
    TopicWord is Topic { General, Treatment, SideEffect, Refill, Shipping, Billing }

    /// How the text of a message is to be read.
    FormatWord is BodyFormat { Plain, Html }

    /// The way a notification takes.
    ChannelWord is Channel { InApp, Mail }

    /// What a notification is about.
    KindWord is NotificationKind {
        VerifyEmail,
        PasswordReset,
        AccountExists,
        ChangeEmail,
        ConfirmFactor,
        AddressLeft,
        SignInChanged,
        AssessmentDecided,
        ReviewDecided,
        PrescriptionChanged,
        DispatchCreated,
        ShipmentChanged,
        InvoiceFinalized,
        InvoicePaid,
        PaymentFailed,
        SubscriptionStopped,
        MessageReceived,
        ConsultationChanged,
        TaskCreated,
        CareTeamChanged,
        GlassBroken,
        LicenseExpiring,
    }
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum StatusWord {
    Sent,
    Delivered,
    Read,
}

impl From<MessageStatus> for StatusWord {
    fn from(status: MessageStatus) -> Self {
        match status {
            MessageStatus::Sent => Self::Sent,
            MessageStatus::Delivered { .. } => Self::Delivered,
            MessageStatus::Read { .. } => Self::Read,
        }
    }
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum StateWord {
    Queued,
    Sending,
    Delivered,
    Read,
    Failed,
    Dropped,
}

impl From<NotificationState> for StateWord {
    fn from(state: NotificationState) -> Self {
        match state {
            NotificationState::Queued { .. } => Self::Queued,
            NotificationState::Sending { .. } => Self::Sending,
            NotificationState::Delivered { .. } => Self::Delivered,
            NotificationState::Read { .. } => Self::Read,
            NotificationState::Failed { .. } => Self::Failed,
            NotificationState::Dropped { .. } => Self::Dropped,
        }
    }
}
