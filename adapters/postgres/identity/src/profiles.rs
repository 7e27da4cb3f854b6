use async_trait::async_trait;
use identity::{PatientProfile, directory::PatientName, store::Profiles};
use kernel::{Address, HumanName, PatientId, UsState, Uuid, actor::Scope};
use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};
use serde::{Serialize, de::DeserializeOwned};

use super::stored;
use crate::Tx;
use pg::{db, expect_changed};

mod profile {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_profiles")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub patient_id: Uuid,
        pub name: Vec<u8>,
        pub birth_date: Vec<u8>,
        pub sex: String,
        pub address: Vec<u8>,
        pub state: String,
        pub phone: Vec<u8>,
        pub time_zone: String,
        pub ssn: Option<Vec<u8>>,
        pub ssn_index: Option<Vec<u8>>,
        pub updated_at: DateTimeUtc,
        pub version: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const NAME: &str = "identity_profiles.name";
const BIRTH_DATE: &str = "identity_profiles.birth_date";
const ADDRESS: &str = "identity_profiles.address";
const PHONE: &str = "identity_profiles.phone";
const SSN: &str = "identity_profiles.ssn";

impl Tx {
    fn seal_json<T: Serialize>(&self, column: &str, row: PatientId, value: &T) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(value)
            .map_err(|error| PortError::internal(format!("{column} does not serialize"), error))?;
        self.seal(column, row, &plain)
    }

    fn unseal_json<T: DeserializeOwned>(
        &self,
        column: &str,
        row: PatientId,
        sealed: Vec<u8>,
    ) -> Result<T> {
        serde_json::from_slice(&self.unseal(column, row, sealed)?)
            .map_err(|error| PortError::internal(format!("{column} does not parse"), error))
    }

    fn profile_row(&self, profile: &PatientProfile) -> Result<profile::Model> {
        let id = profile.patient;
        let ssn = profile.ssn.as_ref();
        Ok(profile::Model {
            patient_id: id.uuid(),
            name: self.seal_json(NAME, id, &profile.name)?,
            birth_date: self.seal(BIRTH_DATE, id, profile.birth_date.to_string().as_bytes())?,
            sex: profile.sex.to_string(),
            address: self.seal_json(ADDRESS, id, &profile.address)?,
            state: profile.address.state.to_string(),
            phone: self.seal(PHONE, id, profile.phone.as_str().as_bytes())?,
            time_zone: profile.time_zone.name().to_owned(),
            ssn: ssn.map(|ssn| self.seal(SSN, id, ssn.digits().as_bytes())).transpose()?,
            ssn_index: ssn
                .map(|ssn| self.sealer().blind_index("identity.ssn", ssn.digits()))
                .transpose()?
                .map(|index| index.0.to_vec()),
            updated_at: profile.updated_at,
            version: profile.version + 1,
        })
    }

    fn load_profile(&self, row: profile::Model) -> Result<PatientProfile> {
        let id = PatientId::from_uuid(row.patient_id);
        let name: HumanName = self.unseal_json(NAME, id, row.name)?;
        let address: Address = self.unseal_json(ADDRESS, id, row.address)?;
        let ssn = match row.ssn {
            Some(sealed) => Some(stored(SSN, &self.unseal_text(SSN, id, sealed)?)?),
            None => None,
        };
        Ok(PatientProfile {
            patient: id,
            name,
            birth_date: stored(BIRTH_DATE, &self.unseal_text(BIRTH_DATE, id, row.birth_date)?)?,
            sex: stored("identity_profiles.sex", &row.sex)?,
            address,
            phone: stored(PHONE, &self.unseal_text(PHONE, id, row.phone)?)?,
            time_zone: stored("identity_profiles.time_zone", &row.time_zone)?,
            ssn,
            updated_at: row.updated_at,
            version: row.version,
        })
    }
}

#[async_trait]
impl Profiles for Tx {
    async fn profile(&mut self, patient: PatientId) -> Result<Option<PatientProfile>> {
        let mut query = profile::Entity::find_by_id(patient.uuid());
        // The actor's own row for a patient, none for a stranger; the wall of
        // row-level security stands behind it.
        match self.actor().scope() {
            Scope::Nobody => return Ok(None),
            Scope::Patient(own) => query = query.filter(profile::Column::PatientId.eq(own.uuid())),
            Scope::Staff | Scope::System => {}
        }
        query
            .one(self.read())
            .await
            .map_err(|error| db("loading a patient's profile", error))?
            .map(|row| self.load_profile(row))
            .transpose()
    }

    async fn names(&mut self, patients: &[PatientId]) -> Result<Vec<PatientName>> {
        let ids = patients.iter().map(|patient| patient.uuid());
        let mut query = profile::Entity::find()
            .select_only()
            .columns([
                profile::Column::PatientId,
                profile::Column::Name,
                profile::Column::BirthDate,
            ])
            .filter(profile::Column::PatientId.is_in(ids));
        match self.actor().scope() {
            Scope::Nobody => return Ok(Vec::new()),
            Scope::Patient(own) => query = query.filter(profile::Column::PatientId.eq(own.uuid())),
            Scope::Staff | Scope::System => {}
        }
        // What else a profile holds stays sealed.
        let rows: Vec<(Uuid, Vec<u8>, Vec<u8>)> = query
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("loading the names of patients", error))?;
        rows.into_iter()
            .map(|(id, name, birth_date)| {
                let patient = PatientId::from_uuid(id);
                let birth_date = self.unseal_text(BIRTH_DATE, patient, birth_date)?;
                Ok(PatientName {
                    patient,
                    name: self.unseal_json(NAME, patient, name)?,
                    birth_date: stored(BIRTH_DATE, &birth_date)?,
                })
            })
            .collect()
    }

    async fn states(&mut self, patients: &[PatientId]) -> Result<Vec<(PatientId, UsState)>> {
        let ids = patients.iter().map(|patient| patient.uuid());
        let mut query = profile::Entity::find()
            .select_only()
            .columns([profile::Column::PatientId, profile::Column::State])
            .filter(profile::Column::PatientId.is_in(ids));
        match self.actor().scope() {
            Scope::Nobody => return Ok(Vec::new()),
            Scope::Patient(own) => query = query.filter(profile::Column::PatientId.eq(own.uuid())),
            Scope::Staff | Scope::System => {}
        }
        let rows: Vec<(Uuid, String)> = query
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("loading where patients are", error))?;
        rows.into_iter()
            .map(|(id, state)| Ok((id.into(), stored("identity_profiles.state", &state)?)))
            .collect()
    }

    async fn save_profile(&mut self, profile: &PatientProfile) -> Result<()> {
        let row = self.profile_row(profile)?.into_active_model().reset_all();
        if profile.version == 0 {
            profile::Entity::insert(row)
                .exec_without_returning(self.write())
                .await
                .map_err(|error| db("inserting a patient's profile", error))?;
            return Ok(());
        }
        let saved = profile::Entity::update_many()
            .set(row)
            .filter(profile::Column::PatientId.eq(profile.patient.uuid()))
            .filter(profile::Column::Version.eq(profile.version))
            .exec(self.write())
            .await
            .map_err(|error| db("saving a patient's profile", error))?;
        expect_changed(saved.rows_affected, "identity_profiles.version")
    }
}
