/* Preloaded into linphonec 5.1, which reads cpim_in_basic_chat_rooms_enabled of an account and loses it
 * before it looks: its messages go with a wish to be told what becomes of them (RFC 5438). */
int linphone_account_params_cpim_in_basic_chat_room_enabled(const void *params) {
	(void)params;
	return 1;
}
