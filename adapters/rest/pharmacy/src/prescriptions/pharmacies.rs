//! The administration of pharmacies.

use std::sync::Arc;

use api::{
    Answer, Body, Caller, Created, IfMatch, Mirror, PageQuery, ProblemField, Result, Tag, Text,
    Versioned,
};
use kernel::{
    AccountId, Address, Page, PharmacyId, Uuid,
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
    param::{Path, Query},
    payload::Json,
};
use ports::Env;

use super::views::PharmacyView;

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

api::example!(PharmacyRequest {
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
});

impl PharmacyRequest {
    fn read(self) -> Result<PharmacySpec> {
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
#[derive(Debug, Object, Mirror)]
#[mirror(from = Pharmacy)]
pub struct AdministeredPharmacyView {
    #[oai(flatten)]
    #[mirror(|pharmacy| pharmacy.clone().into())]
    pub pharmacy: PharmacyView,
    pub dea: Option<String>,
    pub active: bool,
    /// What is probably a slip and may be right.
    #[mirror(|pharmacy| pharmacy.warnings().into_iter().map(Into::into).collect())]
    pub warnings: Vec<ProblemField>,
    /// Counts the changes; it is the `ETag` too.
    pub version: i64,
}

/// A page of pharmacies, by name.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<Pharmacy>)]
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
    pub account_ids: Vec<AccountId>,
}

api::example!(PharmacyStaff {
    account_ids: vec![Uuid::from_u128(0x5a1c_0010_0000_4000_8000_0000_0000_0003).into()]
});

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
    ) -> Answer<AdministeredPharmacyPage> {
        let page = PageQuery::read(limit, cursor)?;
        Ok(Json(administer::all(&*self.store, caller.actor(), &page).await?.into()))
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
    ) -> Result<Created<AdministeredPharmacyView>> {
        let (store, spec) = (&*self.store, body.0.read()?);
        let made = administer::create(&self.env, store, caller.actor(), spec).await?;
        Ok(Created::under("/api/admin/pharmacies", made))
    }

    /// Read a pharmacy
    ///
    /// Takes `pharmacy.administer`.
    #[oai(path = "/api/admin/pharmacies/:id", method = "get", operation_id = "getPharmacy")]
    async fn one(
        &self,
        caller: Caller,
        id: Path<PharmacyId>,
    ) -> Result<Versioned<AdministeredPharmacyView>> {
        let (pharmacy, _) = administer::one(&*self.store, caller.actor(), id.0).await?;
        Ok(Versioned::of(pharmacy))
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
        id: Path<PharmacyId>,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<PharmacyRequest>,
    ) -> Result<Versioned<AdministeredPharmacyView>> {
        let (store, spec) = (&*self.store, body.0.read()?);
        Ok(Versioned::of(administer::revise(store, caller.actor(), id.0, &seen.0, spec).await?))
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
        id: Path<PharmacyId>,
        #[oai(name = "If-Match")] seen: IfMatch,
    ) -> Result<Versioned<AdministeredPharmacyView>> {
        let store = &*self.store;
        Ok(Versioned::of(administer::deactivate(store, caller.actor(), id.0, &seen.0).await?))
    }

    /// List who works in a pharmacy
    ///
    /// Takes `pharmacy.administer`.
    #[oai(
        path = "/api/admin/pharmacies/:id/pharmacists",
        method = "get",
        operation_id = "listPharmacists"
    )]
    async fn pharmacists(&self, caller: Caller, id: Path<PharmacyId>) -> Answer<PharmacyStaff> {
        let (_, account_ids) = administer::one(&*self.store, caller.actor(), id.0).await?;
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
        id: Path<PharmacyId>,
        body: Body<PharmacyStaff>,
    ) -> Answer<PharmacyStaff> {
        let (store, people) = (&*self.store, &*self.people);
        let staff = body.0.account_ids.into_iter().collect();
        let account_ids = administer::assign(store, people, caller.actor(), id.0, &staff).await?;
        Ok(Json(PharmacyStaff { account_ids }))
    }
}
