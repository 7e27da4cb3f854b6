//! The administration of pharmacies.

use std::sync::Arc;

use api::{
    Body, Caller, Created, PageQuery, Problem, ProblemField, Tag, Text, Versioned, seen_version,
};
use kernel::{
    Address, PharmacyId, Uuid,
    text::{
        AddressLine, AddressLine2, City, DeaNumber, NcpdpNumber, NpiNumber, PharmacyName, Phone,
        StateCode, ZipCode,
    },
};
use pharmacy::prescription::{
    Pharmacy, PrescriptionStore,
    administer::{self, Pharmacists, PharmacySpec},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Example,
};
use ports::Env;

pub struct PharmaciesApi {
    pub env: Env,
    pub store: Arc<dyn PrescriptionStore>,
    pub people: Arc<dyn Pharmacists>,
}

/// What an administrator says of a pharmacy.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PharmacyRequest {
    /// The NCPDP provider identifier, seven digits. A check digit that does not
    /// fit is answered with a warning.
    pub ncpdp_id: Text<NcpdpNumber>,
    /// Ten digits with their check digit.
    pub npi: Text<NpiNumber>,
    /// The DEA registration, two letters and seven digits with their check
    /// digit; absent where it has none.
    pub dea: Option<Text<DeaNumber>>,
    pub name: Text<PharmacyName>,
    pub line1: Text<AddressLine>,
    pub line2: Option<Text<AddressLine2>>,
    pub city: Text<City>,
    /// The postal code of the state, as in `MA`.
    pub state: Text<StateCode>,
    pub postal_code: Text<ZipCode>,
    /// In E.164 form, or ten digits.
    pub phone: Text<Phone>,
    /// Whether it ships to patients.
    pub mail_order: bool,
    /// The postal codes of the states to which it may send, that of its own
    /// place among them.
    #[oai(validator(min_items = 1, max_items = 60))]
    pub licensed_in: Vec<Text<StateCode>>,
    /// One that is not active takes no new prescription and sends nothing out.
    #[oai(default = "active_by_default")]
    pub active: bool,
}

fn active_by_default() -> bool {
    true
}

impl Example for PharmacyRequest {
    fn example() -> Self {
        Self {
            ncpdp_id: "0123454".into(),
            npi: "1234567893".into(),
            dea: None,
            name: "Harbor Mail Pharmacy".into(),
            line1: "400 Commerce Park Drive".into(),
            line2: None,
            city: "Columbus".into(),
            state: "OH".into(),
            postal_code: "43215".into(),
            phone: "+16145550100".into(),
            mail_order: true,
            licensed_in: vec!["OH".into(), "MA".into()],
            active: true,
        }
    }
}

impl PharmacyRequest {
    fn read(self) -> Result<PharmacySpec, Problem> {
        Ok(PharmacySpec {
            ncpdp_id: self.ncpdp_id.read("ncpdp_id")?,
            npi: self.npi.read("npi")?,
            dea: self.dea.map(|dea| dea.read("dea")).transpose()?,
            name: self.name.into(),
            address: Address {
                line1: self.line1.into(),
                line2: self.line2.map(Into::into),
                city: self.city.into(),
                state: self.state.read("state")?,
                postal_code: self.postal_code.into(),
            },
            phone: self.phone.read("phone")?,
            mail_order: self.mail_order,
            licensed_in: self
                .licensed_in
                .iter()
                .map(|state| state.read("licensed_in"))
                .collect::<Result<_, _>>()?,
            active: self.active,
        })
    }
}

/// A pharmacy as administrators see it.
#[derive(Debug, Object)]
pub struct AdministeredPharmacyView {
    pub id: Uuid,
    pub ncpdp_id: String,
    pub npi: String,
    pub dea: Option<String>,
    pub name: String,
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    pub state: String,
    pub postal_code: String,
    pub phone: String,
    pub mail_order: bool,
    pub licensed_in: Vec<String>,
    pub active: bool,
    /// What is probably a slip and may be right.
    pub warnings: Vec<ProblemField>,
    /// Counts the changes; it is the `ETag` too.
    pub version: i64,
}

impl From<Pharmacy> for AdministeredPharmacyView {
    fn from(pharmacy: Pharmacy) -> Self {
        Self {
            warnings: pharmacy.warnings().into_iter().map(Into::into).collect(),
            id: pharmacy.id.uuid(),
            ncpdp_id: pharmacy.ncpdp_id.to_string(),
            npi: pharmacy.npi.to_string(),
            dea: pharmacy.dea.map(Into::into),
            name: pharmacy.name,
            line1: pharmacy.address.line1,
            line2: pharmacy.address.line2,
            city: pharmacy.address.city,
            state: pharmacy.address.state.to_string(),
            postal_code: pharmacy.address.postal_code,
            phone: pharmacy.phone.to_string(),
            mail_order: pharmacy.mail_order,
            licensed_in: pharmacy.licensed_in.iter().map(ToString::to_string).collect(),
            active: pharmacy.active,
            version: pharmacy.version,
        }
    }
}

/// A page of pharmacies, by name.
#[derive(Debug, Object)]
pub struct AdministeredPharmacyPage {
    pub items: Vec<AdministeredPharmacyView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// The people who work in a pharmacy.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PharmacyStaff {
    /// Active accounts of pharmacists, in the order of their ids.
    #[oai(validator(max_items = 500))]
    pub account_ids: Vec<Uuid>,
}

impl Example for PharmacyStaff {
    fn example() -> Self {
        Self { account_ids: vec![Uuid::from_u128(0x5a1c_0010_0000_4000_8000_0000_0000_0003)] }
    }
}

#[OpenApi(tag = "Tag::Pharmacy")]
impl PharmaciesApi {
    /// List all pharmacies
    ///
    /// Takes `pharmacy.administer`. Every pharmacy, active or not, by name.
    #[oai(path = "/api/admin/pharmacies", method = "get", operation_id = "adminListPharmacies")]
    async fn list(
        &self,
        caller: Caller,
        /// How many to return, from 1 to 200; 50 without it.
        limit: Query<Option<u32>>,
        /// The `next` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<AdministeredPharmacyPage>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let found = administer::all(self.store.as_ref(), caller.actor(), &page).await?;
        let page = found.map(Into::into);
        Ok(Json(AdministeredPharmacyPage { items: page.items, next: page.next }))
    }

    /// Create a pharmacy
    ///
    /// Takes `pharmacy.administer`. Its identifiers are checked: an NPI and a DEA
    /// registration by their check digits, an NCPDP identifier by its shape; one
    /// whose check digit does not fit is kept and answered with a warning.
    #[oai(path = "/api/admin/pharmacies", method = "post", operation_id = "createPharmacy")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<PharmacyRequest>,
    ) -> Result<Created<AdministeredPharmacyView>, Problem> {
        let spec = body.0.read()?;
        let store = self.store.as_ref();
        let made = administer::create(&self.env, store, caller.actor(), spec).await?;
        let place = format!("/api/admin/pharmacies/{}", made.id);
        Ok(Created::at(place, made.version, made))
    }

    /// Read a pharmacy
    ///
    /// Takes `pharmacy.administer`.
    #[oai(path = "/api/admin/pharmacies/:id", method = "get", operation_id = "getPharmacy")]
    async fn one(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Versioned<AdministeredPharmacyView>, Problem> {
        let (store, id) = (self.store.as_ref(), PharmacyId(id.0));
        let (pharmacy, _) = administer::one(store, caller.actor(), id).await?;
        Ok(Versioned::at(pharmacy.version, pharmacy))
    }

    /// Change a pharmacy
    ///
    /// Takes `pharmacy.administer`. Replaces what is said of it, over the version
    /// in `If-Match`. A state that is taken away, as `active` is, holds at once:
    /// nothing new is prescribed to it for patients there, and what is not with
    /// the carrier yet is put on hold.
    #[oai(path = "/api/admin/pharmacies/:id", method = "put", operation_id = "updatePharmacy")]
    async fn change(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: Header<String>,
        body: Body<PharmacyRequest>,
    ) -> Result<Versioned<AdministeredPharmacyView>, Problem> {
        let (seen, spec) = (seen_version(&if_match.0)?, body.0.read()?);
        let (store, id) = (self.store.as_ref(), PharmacyId(id.0));
        let changed = administer::revise(store, caller.actor(), id, &seen, spec).await?;
        Ok(Versioned::at(changed.version, changed))
    }

    /// Deactivate a pharmacy
    ///
    /// Takes `pharmacy.administer`. Nothing is prescribed to it any more, and
    /// nothing more goes out; what it has been sent stays on file. Changing it to
    /// active brings it back.
    #[oai(
        path = "/api/admin/pharmacies/:id",
        method = "delete",
        operation_id = "deactivatePharmacy"
    )]
    async fn deactivate(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: Header<String>,
    ) -> Result<Versioned<AdministeredPharmacyView>, Problem> {
        let seen = seen_version(&if_match.0)?;
        let (store, id) = (self.store.as_ref(), PharmacyId(id.0));
        let pharmacy = administer::deactivate(store, caller.actor(), id, &seen).await?;
        Ok(Versioned::at(pharmacy.version, pharmacy))
    }

    /// List who works in a pharmacy
    ///
    /// Takes `pharmacy.administer`.
    #[oai(
        path = "/api/admin/pharmacies/:id/pharmacists",
        method = "get",
        operation_id = "listPharmacists"
    )]
    async fn pharmacists(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<PharmacyStaff>, Problem> {
        let (store, id) = (self.store.as_ref(), PharmacyId(id.0));
        let (_, staff) = administer::one(store, caller.actor(), id).await?;
        let account_ids = staff.into_iter().map(|account| account.uuid()).collect();
        Ok(Json(PharmacyStaff { account_ids }))
    }

    /// Say who works in a pharmacy
    ///
    /// Takes `pharmacy.administer`. Replaces the list. Each sees the
    /// prescriptions, stock, dispatches and shipments of the pharmacies that they
    /// are assigned to, and of no other; for one who is assigned to none there is
    /// nothing.
    #[oai(
        path = "/api/admin/pharmacies/:id/pharmacists",
        method = "put",
        operation_id = "setPharmacists"
    )]
    async fn assign(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<PharmacyStaff>,
    ) -> Result<Json<PharmacyStaff>, Problem> {
        let staff = body.0.account_ids.into_iter().map(Into::into).collect();
        let (store, people) = (self.store.as_ref(), self.people.as_ref());
        let id = PharmacyId(id.0);
        let staff = administer::assign(store, people, caller.actor(), id, &staff).await?;
        let account_ids = staff.into_iter().map(|account| account.uuid()).collect();
        Ok(Json(PharmacyStaff { account_ids }))
    }
}
