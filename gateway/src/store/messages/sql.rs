//! The statements about messages. Statuses are numbers in the order of their ladder.

pub(super) const KNOWN: &str = "SELECT id, status FROM message WHERE key = ?1";
pub(super) const COUNT_WAITING: &str = "SELECT COUNT(*) FROM \
    (SELECT 1 FROM hop WHERE account = ?1 LIMIT ?2)";
pub(super) const GUEST_WROTE: &str = "SELECT 1 FROM message \
    WHERE conversation = ?1 AND account IS NULL AND trunk = 'procom' LIMIT 1";
pub(super) const TAKE: &str = "INSERT INTO message \
    (id, key, trunk, account, asserted, is_verified, sender_id, recipient, dialled, content, body, \
     thread, at_ms, require, may_fall_back, wants_receipts, conversation, dies_ms, status, told, \
     is_over, hops_left) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
     ?19, ?20, ?21)";
pub(super) const PUT_HOP: &str = "INSERT OR REPLACE INTO hop \
    (id, message, grp, trunk, recipient, contact, account, attempt, due_ms) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
pub(super) const DROP_HOP: &str = "DELETE FROM hop WHERE id = ?1";
pub(super) const DROP_HOPS: &str = "DELETE FROM hop WHERE message = ?1";
pub(super) const STANDING: &str = "SELECT seq, status, takers, is_over FROM message WHERE id = ?1";
/// Who wants no receipts counts as told of what only a receipt would say.
pub(super) const ADVANCE: &str = "UPDATE message SET status = ?2, reason = ?3, takers = ?4, \
    is_over = ?5, body = CASE WHEN ?5 AND NOT EXISTS (SELECT 1 FROM owed WHERE message = ?1) \
        THEN NULL ELSE body END, \
    told = CASE WHEN wants_receipts = 0 AND ?2 IN (2, 3) THEN ?2 ELSE told END WHERE seq = ?1";
pub(super) const TELL: &str = "UPDATE message SET told = MAX(told, ?2) WHERE id = ?1";
pub(super) const WAITING: &str = "SELECT DISTINCT message FROM hop \
    WHERE account = ?1 AND message > ?2 \
    AND (?4 OR (SELECT status FROM message WHERE seq = hop.message) = 0) \
    ORDER BY message LIMIT ?3";
pub(super) const UNFINISHED: &str = "SELECT DISTINCT message FROM hop \
    WHERE account IS NULL AND message > ?1 ORDER BY message LIMIT ?2";
pub(super) const UNTOLD: &str = "SELECT seq FROM message \
    WHERE account IS ?1 AND told < status ORDER BY seq LIMIT ?2";
pub(super) const MAIL: &str = "SELECT id, trunk, account, asserted, is_verified, sender_id, \
    recipient, dialled, content, body, thread, at_ms, require, may_fall_back, wants_receipts, \
    conversation, dies_ms, status, takers, hops_left FROM message WHERE seq = ?1 AND is_over = 0";
pub(super) const HOPS: &str = "SELECT id, grp, trunk, recipient, contact, account, attempt, due_ms \
    FROM hop WHERE message = ?1 ORDER BY grp, id";
pub(super) const RECEIPT: &str = "SELECT id, trunk, account, asserted, is_verified, sender_id, \
    recipient, status, reason FROM message WHERE seq = ?1 AND told < status";
pub(super) const OUTLIVED: &str = "SELECT seq FROM message \
    WHERE is_over = 0 AND dies_ms < ?1 ORDER BY dies_ms LIMIT ?2";
pub(super) const FAIL: &str =
    "UPDATE message SET status = 4, reason = ?2 WHERE seq = ?1 AND status = 0";
pub(super) const END: &str = "UPDATE message SET is_over = 1, body = NULL WHERE seq = ?1";
pub(super) const FORGET: &str = "DELETE FROM message WHERE seq IN (SELECT seq FROM message \
    WHERE is_over = 1 AND dies_ms < ?1 AND (told >= status OR dies_ms < ?2) \
    AND NOT EXISTS (SELECT 1 FROM owed WHERE owed.message = message.seq) LIMIT ?3)";
/// Devices of an account, with what they are owed.
pub(super) const DEVICES: &str = "SELECT id, \
    (SELECT COUNT(*) FROM owed WHERE device = device.id) FROM device WHERE account = ?1";
pub(super) const DEVICE: &str = "SELECT id FROM device WHERE account = ?1 AND name = ?2";
pub(super) const SEE_DEVICE: &str = "INSERT INTO device (account, name, seen_ms) \
    VALUES (?1, ?2, ?3) ON CONFLICT (account, name) DO UPDATE SET seen_ms = excluded.seen_ms";
pub(super) const SURPLUS_DEVICES: &str = "SELECT id FROM device WHERE account = ?1 \
    ORDER BY seen_ms DESC, id DESC LIMIT -1 OFFSET ?2";
pub(super) const FORGET_DEVICE: &str = "DELETE FROM device WHERE id = ?1";
pub(super) const OWE: &str = "INSERT OR IGNORE INTO owed (device, message) VALUES (?1, ?2)";
pub(super) const OWED: &str = "SELECT message FROM owed WHERE device = ?1 AND message > ?2 \
    ORDER BY message LIMIT ?3";
pub(super) const OWED_TO: &str = "SELECT device FROM owed WHERE message = ?1";
pub(super) const OLDEST_OWED: &str = "SELECT MIN(message) FROM owed WHERE device = ?1";
pub(super) const SETTLE: &str = "DELETE FROM owed WHERE device = ?1 AND message = ?2";
/// What is over is kept for those it is owed to.
pub(super) const CLEAR: &str = "UPDATE message SET body = NULL WHERE seq = ?1 AND is_over = 1 \
    AND NOT EXISTS (SELECT 1 FROM owed WHERE message = ?1)";
pub(super) const OUTLIVED_KEPT: &str = "SELECT seq FROM message \
    WHERE is_over = 1 AND dies_ms < ?1 AND body IS NOT NULL LIMIT ?2";
pub(super) const MISSED: &str = "SELECT id, trunk, account, asserted, is_verified, sender_id, \
    recipient, dialled, content, body, thread, at_ms, require, may_fall_back, wants_receipts, \
    conversation, dies_ms, status, takers, hops_left \
    FROM message WHERE seq = ?1 AND body IS NOT NULL AND dies_ms >= ?2";
