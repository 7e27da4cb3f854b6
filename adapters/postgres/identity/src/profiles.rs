//! The profiles of patients.

use async_trait::async_trait;
use identity::{PatientProfile, directory::PatientName, store::Profiles};
use kernel::{Actor, PatientId, UsState, actor::Scope};
use ports::{PortError, Result};
use sea_orm::{Condition, FromQueryResult, QuerySelect as _, entity::prelude::*, sea_query::Expr};
use serde_json::json;

use crate::Tx;
use pg::{PgTx, Row, Unreadable, db, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identity_profiles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_name = "patient_id")]
    pub id: PatientId,
    pub name: Vec<u8>,
    pub birth_date: Vec<u8>,
    pub sex: String,
    pub address: Vec<u8>,
    pub state: String,
    pub phone: Vec<u8>,
    pub time_zone: String,
    pub ssn: Option<Vec<u8>>,
    /// What the number is found by. It takes the sealer's key, so it is written with the
    /// parts; until then it is empty.
    pub ssn_index: Option<Vec<u8>>,
    pub updated_at: ChronoDateTimeUtc,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const NAME: &str = "identity_profiles.name";
const BIRTH_DATE: &str = "identity_profiles.birth_date";

#[async_trait]
impl Row for Model {
    type Aggregate = PatientProfile;

    const SEALED: &'static [Column] =
        &[Column::Name, Column::BirthDate, Column::Address, Column::Phone, Column::Ssn];
    /// The audit log learns what has changed and never what it was.
    const UNTOLD: &'static [Column] = &[Column::Sex, Column::State, Column::TimeZone];

    fn open(self) -> Result<PatientProfile, Unreadable> {
        let ssn = self.ssn.map(String::from_utf8).transpose()?;
        Ok(PatientProfile {
            patient: self.id,
            name: serde_json::from_slice(&self.name)?,
            birth_date: String::from_utf8(self.birth_date)?.parse()?,
            sex: self.sex.parse()?,
            address: serde_json::from_slice(&self.address)?,
            phone: String::from_utf8(self.phone)?.parse()?,
            time_zone: self.time_zone.parse()?,
            ssn: ssn.map(|digits| digits.parse()).transpose()?,
            updated_at: self.updated_at,
            version: self.version,
        })
    }

    fn close(profile: &PatientProfile) -> Self {
        let ssn = profile.ssn.as_ref();
        Self {
            id: profile.patient,
            name: json!(profile.name).to_string().into_bytes(),
            birth_date: profile.birth_date.to_string().into_bytes(),
            sex: profile.sex.to_string(),
            address: json!(profile.address).to_string().into_bytes(),
            state: profile.address.state.to_string(),
            phone: profile.phone.as_str().as_bytes().to_vec(),
            time_zone: profile.time_zone.name().to_owned(),
            ssn: ssn.map(|ssn| ssn.digits().as_bytes().to_vec()),
            ssn_index: ssn.map(|_| Vec::new()),
            updated_at: profile.updated_at,
            version: profile.version,
        }
    }

    /// The actor's own row for a patient, none for a stranger; the wall of row-level
    /// security stands behind it.
    fn reach(actor: &Actor) -> Condition {
        match actor.scope() {
            Scope::Nobody => Condition::all().add(Expr::value(false)),
            Scope::Patient(own) => Condition::all().add(Column::Id.eq(own)),
            Scope::Staff | Scope::System => Condition::all(),
        }
    }

    async fn save_parts(tx: &mut PgTx, profile: &PatientProfile) -> Result<()> {
        let Some(ssn) = &profile.ssn else { return Ok(()) };
        let index = tx.sealer().blind_index("identity.ssn", ssn.digits())?.0.to_vec();
        tx.execute(
            "writing the index of a patient's number",
            "UPDATE identity_profiles SET ssn_index = $2 \
             WHERE patient_id = $1 AND ssn_index <> $2",
            [profile.patient.into(), index.into()],
        )
        .await?;
        Ok(())
    }
}

/// What else a profile holds stays sealed.
#[derive(FromQueryResult)]
struct Named {
    patient_id: PatientId,
    name: Vec<u8>,
    birth_date: Vec<u8>,
}

impl Named {
    fn open(self, tx: &PgTx) -> Result<PatientName> {
        let patient = self.patient_id;
        let birth_date = tx.unseal_text(BIRTH_DATE, patient, self.birth_date)?;
        let name = tx.unseal(NAME, patient, self.name)?;
        let unreadable = |error: Unreadable| PortError::internal("a patient has no name", error);
        Ok(PatientName {
            patient,
            name: serde_json::from_slice(&name).map_err(|error| unreadable(error.into()))?,
            birth_date: birth_date
                .parse()
                .map_err(|error: chrono::ParseError| unreadable(error.into()))?,
        })
    }
}

#[async_trait]
impl Profiles for Tx {
    async fn names(&mut self, patients: &[PatientId]) -> Result<Vec<PatientName>> {
        let found = reached::<Model>(self)
            .select_only()
            .columns([Column::Id, Column::Name, Column::BirthDate])
            .filter(Column::Id.is_in(patients.iter().copied()))
            .into_model::<Named>()
            .all(self.read())
            .await
            .map_err(|error| db("loading the names of patients", error))?;
        found.into_iter().map(|row| row.open(self)).collect()
    }

    async fn states(&mut self, patients: &[PatientId]) -> Result<Vec<(PatientId, UsState)>> {
        let found: Vec<(PatientId, String)> = reached::<Model>(self)
            .select_only()
            .columns([Column::Id, Column::State])
            .filter(Column::Id.is_in(patients.iter().copied()))
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("loading where patients are", error))?;
        let unknown = |_| PortError::bug("identity_profiles.state holds no state");
        found
            .into_iter()
            .map(|(patient, state)| Ok((patient, state.parse().map_err(unknown)?)))
            .collect()
    }
}
