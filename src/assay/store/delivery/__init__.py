"""The way of a record from the spool to where it is queried: one hand-over, one loop, one supervisor.

drain.py               the hand-over of a segment: durable at its destination, then removed
delivery/faults.py     what could not be handed over, and why; other processes see it
delivery/loop.py       the loop that no error ends
delivery/supervisor.py starts a drainer process again when it dies
"""

from assay.store.delivery.faults import DeliveryFault, known_faults
from assay.store.delivery.loop import Loop
from assay.store.delivery.supervisor import Supervisor

__all__ = ["DeliveryFault", "Loop", "Supervisor", "known_faults"]
