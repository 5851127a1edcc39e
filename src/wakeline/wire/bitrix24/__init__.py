"""What of Bitrix24's REST is pure: references between the commands of a batch."""
