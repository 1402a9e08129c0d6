//! The switchboard's side of the dialplan: what can be reached now, and resolutions on their way.
//!
//! ```text
//! plan --needs no DNS?--> planned, at once
//!      --else---> a task beside the loop --Planned--> the loop --> planned
//! ```

use std::sync::Arc;

use dialplan::{People, Purpose, Reach};
use gateway_core::Cause;
use gateway_core::call::{Input, Inquiry};
use gateway_core::route::Group;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Switchboard;
use crate::planning::{Plans, Request};

/// How many resolutions may wait for the DNS at once.
const AT_ONCE: usize = 512;

/// Routes in groups that ring together, best first; or the cause for the wire and a sentence.
pub(super) type Routes = Result<Vec<Group>, (Cause, String)>;

/// A resolution for which the DNS was asked.
pub(super) struct Planned {
    /// Whose it is: a call's number, or that of a delivery, by what it was for.
    id: u64,
    purpose: Purpose,
    routes: Routes,
    _permit: OwnedSemaphorePermit,
}

/// What resolutions are made of.
pub(super) struct Planner {
    /// What can be reached now.
    pub(super) reach: Reach,
    plans: Plans,
    permits: Arc<Semaphore>,
    sender: mpsc::UnboundedSender<Planned>,
    receiver: mpsc::UnboundedReceiver<Planned>,
}

impl Planner {
    pub(super) fn new(plans: Plans) -> Self {
        // Bounded by the permits: each that is in there holds one.
        let (sender, receiver) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        Self { reach: Reach::default(), plans, permits, sender, receiver }
    }

    /// The next resolution for which the DNS was asked.
    pub(super) async fn next(&mut self) -> Planned {
        self.receiver.recv().await.expect("the planner itself holds a sender")
    }

    /// Whose address is whose, by the plan in force.
    pub(super) fn people(&self) -> Arc<People> {
        Arc::clone(&self.plans.borrow().people)
    }

    /// The routes where no DNS is needed.
    pub(super) fn at_once(&self, inquiry: Inquiry, purpose: Purpose) -> Option<Routes> {
        let request = Request::new(inquiry, purpose);
        let planning = Arc::clone(&self.plans.borrow());
        planning.at_once(&request, &self.reach).map(|resolution| resolution.outcome)
    }

    /// The routes where no DNS is needed; else they come by [`Self::next`].
    fn plan(&self, id: u64, inquiry: Inquiry, purpose: Purpose) -> Option<Routes> {
        let request = Request::new(inquiry, purpose);
        let planning = Arc::clone(&self.plans.borrow());
        if let Some(resolution) = planning.at_once(&request, &self.reach) {
            return Some(resolution.outcome);
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return Some(Err((Cause::Overload, "too many look-ups are under way".to_owned())));
        };
        let (sender, reach) = (self.sender.clone(), self.reach.clone());
        tokio::spawn(async move {
            let routes = planning.resolve(&request, &reach).await.outcome;
            // The switchboard is gone only when the gateway stops.
            let _ = sender.send(Planned { id, purpose, routes, _permit: permit });
        });
        None
    }
}

impl Switchboard {
    /// Asks for routes, of a call or of a delivery: [`Self::planned`] gets them, now or later.
    pub(super) fn plan(&mut self, id: u64, inquiry: Inquiry, purpose: Purpose) {
        if let Some(routes) = self.planner.plan(id, inquiry, purpose) {
            self.planned(id, purpose, routes);
        }
    }

    pub(super) fn handle_planned(&mut self, planned: Planned) {
        let Planned { id, purpose, routes, _permit } = planned;
        self.planned(id, purpose, routes);
        self.work_off();
    }

    fn planned(&mut self, id: u64, purpose: Purpose, routes: Routes) {
        match purpose {
            // A call that ended meanwhile needs no routes, and counts for nothing.
            Purpose::Call if self.calls.contains_key(&id) => {
                let routes = routes.and_then(|groups| self.afford(id, groups));
                self.work.push_back((id, Input::Routes(routes)));
            }
            Purpose::Call => {}
            Purpose::Message => {
                self.post.handle_people(self.planner.people());
                self.post.handle_planned(id, routes, Self::clock());
                self.perform_mail();
            }
        }
    }
}
