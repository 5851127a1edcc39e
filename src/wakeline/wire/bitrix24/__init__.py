"""What of Bitrix24's REST is pure: references between commands of a batch, data of events, answers, addresses, OAuth servers."""
