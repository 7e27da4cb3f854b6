//! The sealed row of what a patient reported.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{Coding, PatientId, UnknownWord};
use ports::{PortError, Result};
use records::{Allergy, ClinicalProfile, Medication, Reported};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) const COLUMN: &str = "clinical_profiles.content";

/// A list that is absent was never asked for; an empty one says none.
#[derive(Serialize, Deserialize)]
struct ProfileRow {
    allergies: Option<Vec<AllergyRow>>,
    medications: Option<Vec<MedicationRow>>,
}

#[derive(Serialize, Deserialize)]
struct AllergyRow {
    id: Uuid,
    substance: Coding,
    category: String,
    criticality: Option<String>,
    reaction: Option<String>,
    recorded_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct MedicationRow {
    id: Uuid,
    drug: Coding,
    dosage: Option<String>,
    started_on: Option<NaiveDate>,
    recorded_at: DateTime<Utc>,
}

pub(super) fn write(profile: &ClinicalProfile) -> Result<Vec<u8>> {
    let row = ProfileRow {
        allergies: rows(&profile.allergies, |allergy| AllergyRow {
            id: allergy.id,
            substance: allergy.substance.clone(),
            category: allergy.category.to_string(),
            criticality: allergy.criticality.map(|criticality| criticality.to_string()),
            reaction: allergy.reaction.clone(),
            recorded_at: allergy.recorded_at,
        }),
        medications: rows(&profile.medications, |medication| MedicationRow {
            id: medication.id,
            drug: medication.drug.clone(),
            dosage: medication.dosage.clone(),
            started_on: medication.started_on,
            recorded_at: medication.recorded_at,
        }),
    };
    serde_json::to_vec(&row)
        .map_err(|error| PortError::internal("what a patient reported does not serialize", error))
}

pub(super) fn read(patient: PatientId, version: i64, json: &[u8]) -> Result<ClinicalProfile> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
        PortError::internal("what a patient reported cannot be read", error)
    };
    let row: ProfileRow = serde_json::from_slice(json).map_err(|e| unreadable(e.into()))?;
    let allergies = reported(row.allergies, |row| {
        Ok(Allergy {
            id: row.id,
            substance: row.substance,
            category: row.category.parse()?,
            criticality: row.criticality.map(|word| word.parse()).transpose()?,
            reaction: row.reaction,
            recorded_at: row.recorded_at,
        })
    })
    .map_err(|error: UnknownWord| unreadable(error.into()))?;
    let medications = reported(row.medications, |row| {
        Ok::<_, UnknownWord>(Medication {
            id: row.id,
            drug: row.drug,
            dosage: row.dosage,
            started_on: row.started_on,
            recorded_at: row.recorded_at,
        })
    })
    .map_err(|error| unreadable(error.into()))?;
    Ok(ClinicalProfile { patient, version, allergies, medications })
}

fn rows<T, R>(reported: &Reported<T>, row: impl Fn(&T) -> R) -> Option<Vec<R>> {
    match reported {
        Reported::NotAsked => None,
        known => Some(known.items().iter().map(row).collect()),
    }
}

fn reported<R, T, E>(
    rows: Option<Vec<R>>,
    item: impl Fn(R) -> Result<T, E>,
) -> Result<Reported<T>, E> {
    Ok(match rows {
        None => Reported::NotAsked,
        Some(rows) if rows.is_empty() => Reported::NoneKnown,
        Some(rows) => Reported::Known(rows.into_iter().map(item).collect::<Result<_, _>>()?),
    })
}
