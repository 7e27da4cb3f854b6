use api::{Answer, Body, Caller, Made, Mirror, Result, Tag, Text};
use chrono::{DateTime, NaiveDate, Utc};
use identity::{
    Account, AccountState, License, LicenseStatus, Services, credentials, provider, sessions, staff,
};
use kernel::{
    AccountId, ProviderId, Role,
    text::{Email, StateCode},
};
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json};

use super::people::{PersonName, ProviderView};

/// A license to practise in one state.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = License)]
pub struct LicenseView {
    /// The postal code of the state, as in `MA`.
    #[mirror(|license| license.state.to_string().into())]
    state: Text<StateCode>,
    #[oai(validator(max_length = 40))]
    number: String,
    /// The last day on which it is in force, in the state's own time zone.
    expires_on: NaiveDate,
    status: LicenseStatus,
}

fn licenses(views: Vec<LicenseView>) -> Result<Vec<License>> {
    let license = |view: LicenseView| {
        Ok(License {
            state: view.state.read("licenses.state")?,
            number: view.number,
            expires_on: view.expires_on,
            status: view.status,
        })
    };
    views.into_iter().map(license).collect()
}

#[derive(Debug, Object)]
#[oai(example)]
struct StaffRequest {
    email: Text<Email>,
    name: PersonName,
    /// One or more, but never `patient`.
    #[oai(validator(max_items = 7))]
    roles: Vec<Role>,
}

api::example!(StaffRequest {
    email: "grace@example.com".into(),
    name: PersonName { given: "Grace".into(), family: "Lindqvist".into() },
    roles: vec![Role::Provider],
});

#[derive(Debug, Object)]
#[oai(example)]
struct RolesRequest {
    /// One or more, but never `patient`.
    #[oai(validator(max_items = 7))]
    roles: Vec<Role>,
}

api::example!(RolesRequest { roles: vec![Role::Support] });

#[derive(Debug, Object)]
#[oai(example)]
struct LicensesRequest {
    /// All licenses of the provider; what is left out is taken from the file.
    #[oai(validator(max_items = 60))]
    licenses: Vec<LicenseView>,
}

api::example!(LicensesRequest {
    licenses: vec![LicenseView {
        state: "MA".into(),
        number: "MD-12345".to_owned(),
        expires_on: NaiveDate::from_ymd_opt(2027, 12, 31).unwrap_or_default(),
        status: LicenseStatus::Active,
    }],
});

/// The state of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum AccountStatus {
    /// The invitation has not been answered yet.
    Unverified,
    Active,
    Disabled,
}

impl From<AccountState> for AccountStatus {
    fn from(state: AccountState) -> Self {
        match state {
            AccountState::Unverified => Self::Unverified,
            AccountState::Active { .. } => Self::Active,
            AccountState::Disabled { .. } => Self::Disabled,
        }
    }
}

/// An account of a member of the staff.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Account)]
struct AccountView {
    id: AccountId,
    email: String,
    name: Option<PersonName>,
    roles: Vec<Role>,
    #[mirror(state)]
    status: AccountStatus,
    created_at: DateTime<Utc>,
}

/// Whether an account is let in.
#[derive(Debug, Object)]
#[oai(example)]
struct AccountStatusRequest {
    /// `true` shuts the account and ends its sessions, `false` opens it again.
    disabled: bool,
}

api::example!(AccountStatusRequest { disabled: true });

/// What ended.
#[derive(Debug, Object)]
struct EndedSessions {
    ended: usize,
}

pub struct StaffApi(pub Services);

#[OpenApi(tag = "Tag::Identity")]
impl StaffApi {
    /// Create a staff account
    ///
    /// Creates the account and mails an invitation to choose a password. To
    /// give the roles `admin` and `super_admin` takes `role.administer`.
    #[oai(path = "/api/admin/accounts", method = "post", operation_id = "createAccount")]
    async fn create(&self, caller: Caller, body: Body<StaffRequest>) -> Result<Made<AccountView>> {
        let form = staff::StaffForm {
            email: body.0.email.into(),
            given: body.0.name.given.into(),
            family: body.0.name.family.into(),
            roles: body.0.roles.into_iter().collect(),
        };
        Ok(Made::of(staff::create_account(&self.0, caller.actor(), form).await?))
    }

    /// Change the roles of a member of the staff
    ///
    /// They count from the account's next request on.
    #[oai(path = "/api/admin/accounts/:id/roles", method = "put", operation_id = "changeRoles")]
    async fn roles(
        &self,
        caller: Caller,
        id: Path<AccountId>,
        body: Body<RolesRequest>,
    ) -> Answer<AccountView> {
        let roles = body.0.roles.into_iter().collect();
        Ok(Json(staff::change_roles(&self.0, caller.actor(), id.0, roles).await?.into()))
    }

    /// Disable an account, or enable it again
    ///
    /// A disabled account signs in no more, and its sessions end at once. One
    /// with the roles `admin` or `super_admin` takes `role.administer`.
    #[oai(
        path = "/api/admin/accounts/:id/status",
        method = "put",
        operation_id = "setAccountStatus"
    )]
    async fn status(
        &self,
        caller: Caller,
        id: Path<AccountId>,
        body: Body<AccountStatusRequest>,
    ) -> Answer<AccountView> {
        let disabled = body.0.disabled;
        Ok(Json(credentials::set_disabled(&self.0, caller.actor(), id.0, disabled).await?.into()))
    }

    /// End all sessions of an account
    ///
    /// As when a device is lost; the account may sign in again.
    #[oai(
        path = "/api/admin/accounts/:id/sessions",
        method = "delete",
        operation_id = "endSessions"
    )]
    async fn end_sessions(&self, caller: Caller, id: Path<AccountId>) -> Answer<EndedSessions> {
        let ended = sessions::revoke_all_of(&self.0, caller.actor(), id.0).await?;
        Ok(Json(EndedSessions { ended }))
    }

    /// Record the licenses of a provider
    ///
    /// Replaces the licenses on file by those that the staff has verified.
    #[oai(path = "/api/admin/accounts/:id/licenses", method = "put", operation_id = "setLicenses")]
    async fn licenses(
        &self,
        caller: Caller,
        id: Path<ProviderId>,
        body: Body<LicensesRequest>,
    ) -> Answer<ProviderView> {
        let licenses = licenses(body.0.licenses)?;
        Ok(Json(provider::set_licenses(&self.0, caller.actor(), id.0, licenses).await?.into()))
    }
}
