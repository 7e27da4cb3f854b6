use api::{Body, Caller, Problem, Tag, Text};
use chrono::{DateTime, NaiveDate, Utc};
use identity::{Account, AccountState, License, Services, credentials, provider, sessions, staff};
use kernel::{
    Uuid,
    text::{Email, StateCode},
};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, param::Path, payload::Json};

use super::people::{PersonName, ProviderView};

/// What the board of a state says of a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum LicenseStatus {
    Active,
    Suspended,
    Revoked,
}

impl From<identity::LicenseStatus> for LicenseStatus {
    fn from(status: identity::LicenseStatus) -> Self {
        match status {
            identity::LicenseStatus::Active => Self::Active,
            identity::LicenseStatus::Suspended => Self::Suspended,
            identity::LicenseStatus::Revoked => Self::Revoked,
        }
    }
}

impl From<LicenseStatus> for identity::LicenseStatus {
    fn from(status: LicenseStatus) -> Self {
        match status {
            LicenseStatus::Active => Self::Active,
            LicenseStatus::Suspended => Self::Suspended,
            LicenseStatus::Revoked => Self::Revoked,
        }
    }
}

/// A license to practise in one state.
#[derive(Clone, Debug, Object)]
pub struct LicenseView {
    /// The postal code of the state, as in `MA`.
    state: Text<StateCode>,
    #[oai(validator(max_length = 40))]
    number: String,
    /// The last day on which it is in force, in the state's own time zone.
    expires_on: NaiveDate,
    status: LicenseStatus,
}

impl From<License> for LicenseView {
    fn from(license: License) -> Self {
        Self {
            state: license.state.to_string().into(),
            number: license.number,
            expires_on: license.expires_on,
            status: license.status.into(),
        }
    }
}

fn licenses(views: Vec<LicenseView>) -> Result<Vec<License>, Problem> {
    let license = |view: LicenseView| {
        Ok(License {
            state: view.state.read("licenses.state")?,
            number: view.number,
            expires_on: view.expires_on,
            status: view.status.into(),
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
    roles: Vec<kernel::Role>,
}

impl poem_openapi::types::Example for StaffRequest {
    fn example() -> Self {
        Self {
            email: "grace@example.com".into(),
            name: PersonName { given: "Grace".into(), family: "Lindqvist".into() },
            roles: vec![kernel::Role::Provider],
        }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct RolesRequest {
    /// One or more, but never `patient`.
    #[oai(validator(max_items = 7))]
    roles: Vec<kernel::Role>,
}

impl poem_openapi::types::Example for RolesRequest {
    fn example() -> Self {
        Self { roles: vec![kernel::Role::Support] }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct LicensesRequest {
    /// All licenses of the provider; what is left out is taken from the file.
    #[oai(validator(max_items = 60))]
    licenses: Vec<LicenseView>,
}

impl poem_openapi::types::Example for LicensesRequest {
    fn example() -> Self {
        Self {
            licenses: vec![LicenseView {
                state: "MA".into(),
                number: "MD-12345".to_owned(),
                expires_on: NaiveDate::from_ymd_opt(2027, 12, 31).unwrap_or_default(),
                status: LicenseStatus::Active,
            }],
        }
    }
}

/// How far an account has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum AccountStatus {
    /// The invitation has not been answered yet.
    Unverified,
    Active,
    Disabled,
}

/// An account of a member of the staff.
#[derive(Debug, Object)]
struct AccountView {
    id: Uuid,
    email: String,
    name: Option<PersonName>,
    roles: Vec<kernel::Role>,
    status: AccountStatus,
    created_at: DateTime<Utc>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.uuid(),
            email: account.email.to_string(),
            name: account
                .name
                .map(|name| PersonName { given: name.given.into(), family: name.family.into() }),
            roles: account.roles.into_iter().collect(),
            status: match account.state {
                AccountState::Unverified => AccountStatus::Unverified,
                AccountState::Active { .. } => AccountStatus::Active,
                AccountState::Disabled { .. } => AccountStatus::Disabled,
            },
            created_at: account.created_at,
        }
    }
}

/// Whether an account is let in.
#[derive(Debug, Object)]
#[oai(example)]
struct AccountStatusRequest {
    /// `true` shuts the account and ends its sessions, `false` opens it again.
    disabled: bool,
}

impl poem_openapi::types::Example for AccountStatusRequest {
    fn example() -> Self {
        Self { disabled: true }
    }
}

/// What ended.
#[derive(Debug, Object)]
struct EndedSessions {
    ended: usize,
}

#[derive(ApiResponse)]
enum CreatedAccount {
    /// The account exists and its invitation is on its way.
    #[oai(status = 201)]
    Created(Json<AccountView>),
}

pub struct StaffApi {
    pub services: Services,
}

#[OpenApi(tag = "Tag::Identity")]
impl StaffApi {
    /// Create a staff account
    ///
    /// Creates the account and mails an invitation to choose a password. To
    /// give the roles `admin` and `super_admin` takes `role.administer`.
    #[oai(path = "/api/admin/accounts", method = "post", operation_id = "createAccount")]
    async fn create_account(
        &self,
        caller: Caller,
        body: Body<StaffRequest>,
    ) -> Result<CreatedAccount, Problem> {
        let form = staff::StaffForm {
            email: body.0.email.into(),
            given: body.0.name.given.into(),
            family: body.0.name.family.into(),
            roles: body.0.roles.into_iter().collect(),
        };
        let account = staff::create_account(&self.services, caller.actor(), form).await?;
        Ok(CreatedAccount::Created(Json(account.into())))
    }

    /// Change the roles of a member of the staff
    ///
    /// They count from the account's next request on.
    #[oai(path = "/api/admin/accounts/:id/roles", method = "put", operation_id = "changeRoles")]
    async fn change_roles(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<RolesRequest>,
    ) -> Result<Json<AccountView>, Problem> {
        let roles = body.0.roles.into_iter().collect();
        let account =
            staff::change_roles(&self.services, caller.actor(), id.0.into(), roles).await?;
        Ok(Json(account.into()))
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
    async fn set_status(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<AccountStatusRequest>,
    ) -> Result<Json<AccountView>, Problem> {
        let disabled = body.0.disabled;
        let account =
            credentials::set_disabled(&self.services, caller.actor(), id.0.into(), disabled)
                .await?;
        Ok(Json(account.into()))
    }

    /// End all sessions of an account
    ///
    /// As when a device is lost; the account may sign in again.
    #[oai(
        path = "/api/admin/accounts/:id/sessions",
        method = "delete",
        operation_id = "endSessions"
    )]
    async fn end_sessions(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<EndedSessions>, Problem> {
        let ended = sessions::revoke_all_of(&self.services, caller.actor(), id.0.into()).await?;
        Ok(Json(EndedSessions { ended }))
    }

    /// Record the licenses of a provider
    ///
    /// Replaces the licenses on file by those that the staff has verified.
    #[oai(path = "/api/admin/accounts/:id/licenses", method = "put", operation_id = "setLicenses")]
    async fn set_licenses(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<LicensesRequest>,
    ) -> Result<Json<ProviderView>, Problem> {
        let licenses = licenses(body.0.licenses)?;
        let profile =
            provider::set_licenses(&self.services, caller.actor(), id.0.into(), licenses).await?;
        Ok(Json(profile.into()))
    }
}
