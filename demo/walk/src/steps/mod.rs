//! The ten steps, each for all people at once.

mod access;
mod care;
mod intake;
mod outside;
mod pharmacy;
mod purchase;

use super::World;

/// Runs one step, prints what came of it, and stops the walk where it failed.
macro_rules! step {
    ($world:ident, $number:literal, $title:literal, $run:expr) => {
        $world.report.begin($number, $title);
        let result = $run.await;
        $world.report.end($number, &result);
        if result.is_err() {
            return Ok(false);
        }
    };
}

pub async fn run(world: &mut World) -> anyhow::Result<bool> {
    step!(
        world,
        1,
        "register, verify the address by mail, sign in, complete the profile",
        access::register(world)
    );
    step!(
        world,
        2,
        "list categories and plans, read the form, save a draft, submit",
        intake::submit(world)
    );
    step!(world, 3, "eligibility decides, with a trace of every rule", care::decided(world));
    step!(
        world,
        4,
        "a licensed provider claims and approves; a treatment plan stands",
        care::review(world)
    );
    step!(
        world,
        5,
        "add a card, subscribe, pay; the invoice is there as a PDF",
        purchase::subscribe(world)
    );
    step!(
        world,
        6,
        "safety checks, then the prescription goes out as NewRx and is verified",
        pharmacy::prescribe(world)
    );
    step!(
        world,
        7,
        "dispatch, shipment, carrier's tracking, delivery, notifications",
        pharmacy::deliver(world)
    );
    step!(world, 8, "an encrypted message and a video consultation", care::meet(world));
    step!(world, 9, "an EHR partner reads the record over FHIR", outside::fhir(world));
    step!(
        world,
        10,
        "an auditor reads and exports the trail; the chain is proved",
        outside::audit(world)
    );
    world.report.line(&format!(
        "{} of 10 steps hold; what they left is in {}",
        world.report.held,
        world.out.display()
    ));
    Ok(world.report.failed == 0)
}
