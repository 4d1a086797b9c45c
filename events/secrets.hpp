#pragma once
// What nobody may read out of the log, though it stands in it.

#include "events/record.pb.h"

namespace usher {

/// A copy for people and scripts: what is shown is copied and sent around. Without the hashes of passwords, which can be attacked
/// at leisure; without personal data, which is sealed and means nothing to a reader; and without the secret of a draw, whose holder
/// knows its order before it is held. Afterwards it stands in the event that tells everybody, and there it stays.
v1::Record without_secrets(const v1::Record&);
v1::StreamEvent without_secrets(const v1::StreamEvent&);
v1::Snapshot without_secrets(const v1::Snapshot&);
/// The same in place.
void drop_secrets(v1::StreamEvent&);
void drop_secrets(v1::Command&);

}  // namespace usher
