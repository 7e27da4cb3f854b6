use api::{Body, Caller, Done, Enrolling, Result, Tag, Text, Visitor};
use identity::{Services, credentials};
use kernel::text::Email;
use poem_openapi::{Object, OpenApi};

use super::{Accepted, auth::LinkRequest};

#[derive(Debug, Object)]
#[oai(example)]
struct ChangePasswordRequest {
    #[oai(validator(max_length = 512))]
    current_password: String,
    /// 12 to 128 characters, counted in the form NFKC, and not guessed soon.
    #[oai(validator(max_length = 512))]
    new_password: String,
}

api::example!(ChangePasswordRequest {
    current_password: "correct-horse battery".to_owned(),
    new_password: "seven quiet lighthouses".to_owned(),
});

#[derive(Debug, Object)]
#[oai(example)]
struct ChangeEmailRequest {
    /// The address to sign in with from now on.
    email: Text<Email>,
    /// The account's password.
    #[oai(validator(max_length = 512))]
    password: String,
}

api::example!(ChangeEmailRequest {
    email: "ada.byron@example.com".into(),
    password: "correct-horse battery".to_owned()
});

pub struct CredentialsApi(pub Services);

#[OpenApi(tag = "Tag::Identity")]
impl CredentialsApi {
    /// Change one's own password
    ///
    /// Ends all other sessions of the account and tells its owner by mail. A
    /// wrong current password counts as a failed login.
    #[oai(path = "/api/auth/password", method = "put", operation_id = "changePassword")]
    async fn password(&self, caller: Enrolling, body: Body<ChangePasswordRequest>) -> Result<Done> {
        let ChangePasswordRequest { current_password: old, new_password: new } = body.0;
        credentials::change_password(&self.0, caller.actor(), &old, &new).await?;
        Ok(Done::Done)
    }

    /// Ask for another address
    ///
    /// Mails a link to the new address and a notice to the old one. The account
    /// keeps its address until the link is followed, within an hour. Asking for
    /// yet another address mails at once and voids the link to the last; a new
    /// password voids it as well. The answer does not tell whether the new address has an account.
    #[oai(path = "/api/auth/email", method = "put", operation_id = "changeEmail")]
    async fn email(&self, caller: Caller, body: Body<ChangeEmailRequest>) -> Result<Accepted> {
        let ChangeEmailRequest { email, password } = body.0;
        credentials::request_email_change(&self.0, caller.actor(), &email, &password).await?;
        Ok(Accepted::Accepted)
    }

    /// Take the new address
    ///
    /// By the token of the link that was mailed to it. Every session of the
    /// account ends, and it signs in with the new address.
    #[oai(path = "/api/auth/email/confirm", method = "post", operation_id = "confirmEmail")]
    async fn confirm_email(&self, visitor: Visitor, body: Body<LinkRequest>) -> Result<Done> {
        credentials::confirm_email_change(&self.0, visitor.request(), &body.0.token).await?;
        Ok(Done::Done)
    }
}
